"""The file for boards answers as the service does, from NumPy and ONNX Runtime alone."""

import ast
import asyncio
import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from app.checkpoints.store import Checkpoint
from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader
from app.inference.batcher import Batcher
from app.inference.classifier import Classifier, ClassifyOptions
from app.inference.engine import OpenVinoEngine
from earshot.schemas import Classification
from tests.support.sounds import RATE, encode, make, tone

FILE = Path(__file__).parents[3] / "edge" / "earshot_edge.py"
TOLERANCE = 2e-2
"""of a probability: OpenVINO and ONNX Runtime round int8 products differently"""


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("earshot_edge", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


edge = load()


@pytest.fixture(scope="module")
def board(student: Checkpoint) -> Any:
    return edge.Classifier(student.model)


def ask_service(student: Checkpoint, data: bytes) -> Classification:
    async def ask() -> Classification:
        engine = OpenVinoEngine(student.model)
        batcher = Batcher(engine, max_batch=8, max_queued=99, streams=1)
        reader = RecordingReader(AudioLimits())
        classifier = Classifier(student.card, batcher, reader, asyncio.to_thread)
        try:
            return await classifier.classify_recording(data, ClassifyOptions(top_k=99))
        finally:
            batcher.close()

    return asyncio.run(ask())


def noise(frames: int, channels: int = 1) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal((frames, channels))).astype(np.float32)


SIREN = make("siren", 1, 5.3)[:, None]
WIRED_WRONG = SIREN * np.float32([1, -1])
ENDED = np.concatenate([make("dog_bark", 2), np.zeros(RATE, np.float32)])[:, None]
RECORDINGS: dict[str, tuple[NDArray[np.float32], int]] = {
    "a clip": (SIREN[: 2 * RATE], RATE),
    "several clips": (SIREN, RATE),
    "stereo": (noise(3 * RATE, 2), RATE),
    "channels that cancel": (WIRED_WRONG, RATE),
    "48 kHz": (np.repeat(noise(96_000), 1, axis=0), 48_000),
    "44.1 kHz": (tone(440, 2.5, 44_100)[:, None], 44_100),
    "8 kHz": (tone(440, 2.5, 8_000)[:, None], 8_000),
    "short": (SIREN[: RATE // 2], RATE),
    "between two lengths": (SIREN[: int(1.3 * RATE)], RATE),
    "too short": (SIREN[: RATE // 20], RATE),
    "silent": (np.zeros((RATE, 1), np.float32), RATE),
    "a constant level at another rate": (np.full((44_100, 1), 0.25, np.float32), 44_100),
    "sound that ends": (ENDED, RATE),
}


@pytest.mark.parametrize("case", RECORDINGS)
def test_the_board_answers_as_the_service(
    case: str, student: Checkpoint, board: Any, tmp_path: Path
) -> None:
    samples, rate = RECORDINGS[case]
    path = tmp_path / "sound.wav"
    path.write_bytes(encode(samples, rate))
    answer = board.classify(*edge.read_wav(str(path)))
    expected = ask_service(student, path.read_bytes())
    assert (answer["reason"], answer["label"]) == (expected.reason, expected.label)
    assert answer["probability"] == pytest.approx(expected.probability, abs=TOLERANCE)
    for ranked in expected.ranked:
        probability = answer["probabilities"][ranked.label]
        assert probability == pytest.approx(ranked.probability, abs=TOLERANCE), ranked.label


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.empty((0, 1), np.float32), RATE, "the recording is empty"),
        (noise(100), 3_999, "has a sample rate of 3999 Hz; 4000 to 768000 Hz are accepted"),
        (noise(100, 33), RATE, "has 33 channels; at most 32 are accepted"),
        (np.float32([[0.0], [np.nan]]), RATE, "samples that are NaN or infinite"),
    ],
)
def test_what_cannot_be_classified_is_refused_in_words(
    samples: NDArray[np.float32], rate: int, message: str, board: Any
) -> None:
    with pytest.raises(edge.AudioError, match=message):
        board.classify(samples, rate)


def test_a_graph_of_another_kind_is_refused() -> None:
    model = FILE.parents[1] / "models_store" / "urban-sound" / "hann" / "model.onnx"
    with pytest.raises(ValueError, match="not a student of Earshot"):
        edge.Classifier(model)


@pytest.mark.parametrize(("old", "new"), [(44_100, 16_000), (8_000, 16_000), (48_000, 16_000)])
def test_resampling_keeps_what_both_rates_can_hold(old: int, new: int) -> None:
    sweep = np.sin(2 * np.pi * np.cumsum(np.linspace(100, 3_000, 2 * old)) / old)
    resampled = edge.resample(sweep.astype(np.float32), old, new)
    expected = soxr.resample(sweep.astype(np.float32), old, new)
    assert resampled.size == pytest.approx(expected.size, abs=1)
    inner = slice(new // 10, 2 * new - new // 10)
    np.testing.assert_allclose(resampled[inner], expected[inner], atol=2e-3)


def test_what_the_new_rate_cannot_hold_is_gone() -> None:
    resampled = edge.resample(tone(9_000, 1.0, 44_100), 44_100, 16_000)
    assert np.abs(resampled[200:-200]).max() < 1e-3


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"])
def test_wav_of_every_width_is_read(subtype: str, tmp_path: Path) -> None:
    samples = noise(1_000, 2)
    path = tmp_path / "sound.wav"
    path.write_bytes(encode(samples, 44_100, subtype=subtype))
    read, rate = edge.read_wav(str(path))
    assert rate == 44_100
    np.testing.assert_allclose(read, samples, atol=2**-7 if subtype == "PCM_U8" else 2**-14)


def test_a_microphone_is_classified_every_second(board: Any) -> None:
    samples = (SIREN[: 3 * RATE, 0] * 32_768).astype("<i2")
    answers = list(edge.listen(board, io.BytesIO(samples.tobytes())))
    assert len(answers) == 3
    assert answers[-1] == board.classify(samples.astype(np.float32) / 32_768, RATE)


def test_the_program_prints_a_line_for_each_file(student: Checkpoint, tmp_path: Path) -> None:
    sound, broken = tmp_path / "sound.wav", tmp_path / "broken.wav"
    sound.write_bytes(encode(SIREN[: 2 * RATE]))
    broken.write_bytes(b"no sound at all")
    process = subprocess.run(
        [sys.executable, FILE, student.model, sound, broken],
        capture_output=True,
        text=True,
        check=False,
    )
    first, second = map(json.loads, process.stdout.splitlines())
    assert process.returncode == 1
    assert first["file"] == str(sound)
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert second["file"] == str(broken)
    assert second["error"].endswith("a WAV of 8, 16, 24 or 32 bits is expected")


def test_it_imports_nothing_but_numpy_and_onnxruntime() -> None:
    names = set()
    for node in ast.walk(ast.parse(FILE.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).split(".")[0])
    assert names - sys.stdlib_module_names == {"numpy", "onnxruntime"}
