"""The file of a student: its outputs, its size, and what its metadata say."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from scipy.special import softmax

from app.audio.network_inputs import WaveformConfig
from app.checkpoints import store
from app.checkpoints.store import Checkpoint
from app.inference.engine import OpenVinoEngine
from tests.support.cards import LABELS
from tests.support.sounds import make
from tests.support.students import OUTPUTS, write_student
from training.edge.graph import embed_card

MAX_BYTES = 120_000


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return write_student(tmp_path_factory.mktemp("student"))


def run(path: Path, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    session = onnxruntime.InferenceSession(path)
    logits, probabilities = session.run(["logits", "probabilities"], {"waveform": samples})
    return logits, probabilities


def sounds() -> np.ndarray:
    return np.stack([make("siren", 1), make("dog_bark", 2)])


def test_the_input_is_the_recording_and_the_clips_stay(student: Checkpoint) -> None:
    assert student.card.input == WaveformConfig(
        sample_rate=16_000, clip_seconds=2.0, clip_hop_seconds=1.0, padding="repeat"
    )


def test_probabilities_are_those_of_the_labels_under_the_cards_temperature(
    student: Checkpoint,
) -> None:
    logits, probabilities = run(student.model, sounds())
    assert logits.shape == (2, OUTPUTS)
    expected = softmax(logits[:, : len(LABELS)], axis=1)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    _, calibrated = run(embed_card(student).model, sounds())
    expected = softmax(logits[:, : len(LABELS)] / student.card.temperature, axis=1)
    np.testing.assert_allclose(calibrated, expected, atol=1e-6)


def test_the_service_gets_the_same_logits(student: Checkpoint) -> None:
    logits, _ = run(student.model, sounds())
    np.testing.assert_allclose(OpenVinoEngine(student.model).infer(sounds()), logits, atol=0.05)


def test_the_file_is_small(student: Checkpoint) -> None:
    assert student.model.stat().st_size <= MAX_BYTES


def test_the_file_says_what_its_card_says(student: Checkpoint) -> None:
    sealed = embed_card(student)
    assert sealed.card.version == student.card.version
    assert store.load(sealed.folder.parents[1], sealed.key).card == sealed.card
    facts = {each.key: each.value for each in onnx.load(sealed.model).metadata_props}
    assert facts["labels"].split("\n") == list(LABELS)
    assert facts["temperature"] == "1.25"
    assert (facts["clip_samples"], facts["clip_hop_samples"]) == ("32000", "16000")
    assert (facts["shortest_seconds"], facts["temperatures"]) == ("0.1", "0.5 3.0")
    assert (facts["ood_threshold"], facts["ood_reason"]) == ("-0.5", "out_of_distribution")


def test_a_network_that_is_no_student_stays_as_it_is(student: Checkpoint) -> None:
    other = Checkpoint(student.folder, student.card.model_copy(update={"network": "resnet50"}))
    before = student.model.read_bytes()
    assert embed_card(other) is other
    assert student.model.read_bytes() == before
