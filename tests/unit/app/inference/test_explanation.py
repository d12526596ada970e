"""Evidence maps: they add up to the network's own logits, and lie where the sound is."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from app.audio.clips import clip_starts, pad_or_repeat
from app.audio.log_mel import LogMelConfig
from app.audio.network_inputs import network_input
from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.store import DamagedCheckpointError, MissingCheckpointError, ModelKey
from app.inference.classifier import RecordingPrediction, label_probabilities
from app.inference.compiled_cache import CompiledCache
from app.inference.engine import OpenVinoEngine, recording_outputs
from app.inference.evidence import STRIDE, ClassActivationMapper, OcclusionMapper
from app.inference.explanation import ClipNumberError, explain_clip, make_mapper
from app.inference.segments import ClipPredictions
from earshot.schemas import AudioInfo
from tests.support.sounds import SOUNDS, make

STORE = Path(__file__).parents[4] / "models_store"
# What quantising the mean of the features and the logits to 8 bits rounds off; 0.07 was seen.
INT8 = 0.1


@pytest.fixture(scope="module", params=["emotion", "urban-sound"])
def shipped(request: pytest.FixtureRequest) -> tuple[Card, ClassActivationMapper, OpenVinoEngine]:
    checkpoint = store.load(STORE, ModelKey(request.param, "hann"))
    return (
        checkpoint.card,
        ClassActivationMapper(checkpoint.model),
        OpenVinoEngine(checkpoint.model),
    )


def clip_of(kind: str, config: LogMelConfig) -> NDArray[np.float32]:
    clip = pad_or_repeat(make(kind, 5), config.clip_samples, "repeat")
    return network_input(clip[: config.clip_samples], config)


@pytest.mark.parametrize("kind", SOUNDS)
def test_maps_and_bias_add_up_to_the_logits(
    shipped: tuple[Card, ClassActivationMapper, OpenVinoEngine], kind: str
) -> None:
    card, mapper, engine = shipped
    spectrogram = clip_of(kind, card.input)
    logits = engine.infer(spectrogram[None])[0]
    assert np.ptp(logits) > 20 * INT8
    for output, logit in enumerate(logits):
        evidence = mapper.map(spectrogram, output)
        assert evidence.values.shape == tuple(-(-size // STRIDE) for size in spectrogram.shape[1:])
        assert evidence.values.mean() + evidence.bias == pytest.approx(logit, abs=INT8)


def small_graph(path: Path, *, pooled: bool = True) -> Path:
    """Two features, the input and its negative (kept where positive), at every 32nd place."""
    kernel = helper.make_tensor("kernel", TensorProto.FLOAT, [2, 1, 1, 1], [1, -1])
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [2, 3], [2, 0, 1, 0, 3, 1])
    bias = helper.make_tensor("bias", TensorProto.FLOAT, [3], [0.5, 0, -1])
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["taps"], strides=[STRIDE, STRIDE]),
        helper.make_node("Relu", ["taps"], ["features"]),
        helper.make_node("GlobalAveragePool" if pooled else "GlobalMaxPool", ["features"], ["one"]),
        helper.make_node("Flatten", ["one"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, 64, 96])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [kernel, weights, bias],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


def test_a_small_network_is_explained_exactly(tmp_path: Path) -> None:
    mapper = ClassActivationMapper(small_graph(tmp_path / "model.onnx"))
    spectrogram = np.zeros((1, 64, 96), np.float32)
    spectrogram[0, 0, 64] = 1.0
    spectrogram[0, 32, 32] = -2.0
    expected = np.zeros((3, 2, 3))
    expected[:, 0, 2] = [2, 0, 1]
    expected[:, 1, 1] = [0, 6, 2]
    for output, bias in enumerate([0.5, 0, -1]):
        evidence = mapper.map(spectrogram, output)
        np.testing.assert_allclose(evidence.values, expected[output], atol=0.02)
        assert evidence.bias == pytest.approx(bias, abs=1e-6)


def test_a_network_that_ends_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ReduceMean"):
        ClassActivationMapper(small_graph(tmp_path / "model.onnx", pooled=False))


def test_occlusion_shows_by_how_much_the_logit_falls(tmp_path: Path) -> None:
    """The network sees the places' centres alone, and of its features their largest values."""
    mapper = OcclusionMapper(small_graph(tmp_path / "model.onnx", pooled=False), (STRIDE, STRIDE))
    spectrogram = np.zeros((1, 64, 96), np.float32)
    spectrogram[0, 0, 64], spectrogram[0, 32, 32] = 9.0, -6.0
    mean = spectrogram.mean()
    # Logit 1 is three times the negative's largest value, logit 0 twice the input's.
    for output, place, change in ((0, (0, 2), 2 * (9 - mean)), (1, (1, 1), 3 * 6)):
        evidence = mapper.map(spectrogram, output)
        expected = np.zeros((2, 3))
        expected[place] = change
        np.testing.assert_allclose(evidence.values, expected, atol=0.05)
        logit = 2 * 9 + 0.5 if output == 0 else 3 * 6
        assert evidence.values.mean() + evidence.bias == pytest.approx(logit, abs=0.05)


def predict(
    samples: NDArray[np.float32], card: Card, engine: OpenVinoEngine
) -> RecordingPrediction:
    probabilities = label_probabilities(recording_outputs(engine, samples, card.input), card)
    rate = card.input.sample_rate
    return RecordingPrediction(
        probabilities=probabilities.mean(axis=0),
        rejection=None,
        clips=ClipPredictions(
            starts=np.arange(len(probabilities)) * card.input.clip_hop_seconds,
            probabilities=probabilities,
            rejections=[None] * len(probabilities),
            partially_silent=np.zeros(len(probabilities), bool),
        ),
        audio=AudioInfo(seconds=samples.size / rate, sample_rate=rate, channels=1, format="wav"),
        samples=samples,
    )


def test_the_clip_where_the_label_is_most_probable_is_explained(
    shipped: tuple[Card, ClassActivationMapper, OpenVinoEngine],
) -> None:
    card, mapper, engine = shipped
    config = card.input
    samples = np.concatenate([make("drilling", 8, 6.0), make("siren", 7, 6.0)])
    prediction = predict(samples, card, engine)
    for label in range(3):
        scores = prediction.clips.probabilities[:, label]
        best = int(scores.argmax())
        found = explain_clip(card, prediction, mapper, label=label, clip=None)
        assert (found.label, found.clip) == (label, best)
        assert found.probability == pytest.approx(float(scores[best]), abs=1e-3)
        start = clip_starts(samples.size, config.clip_samples, config.clip_hop_samples)[best]
        clip = samples[start : start + config.clip_samples]
        np.testing.assert_array_equal(found.samples, clip)
        np.testing.assert_array_equal(samples[found.start :][: clip.size], clip)
        expected = mapper.map(network_input(clip, config), label)
        np.testing.assert_allclose(found.evidence.values, expected.values)
        assert found.evidence.bias == expected.bias
        assert found.method == "class-activation"
    found = explain_clip(card, prediction, mapper, label=None, clip=1)
    assert (found.label, found.clip) == (int(prediction.probabilities.argmax()), 1)
    count = len(prediction.clips.probabilities)
    with pytest.raises(ClipNumberError, match=f"the clips 1 to {count}, got {count + 1}"):
        explain_clip(card, prediction, mapper, label=None, clip=count)


def copied(tmp_path: Path, task: str = "emotion") -> Path:
    shutil.copytree(STORE / task / "hann", tmp_path / task / "hann")
    return tmp_path


def test_a_mapper_is_compiled_once(tmp_path: Path) -> None:
    root = copied(tmp_path)
    card = store.load(root, ModelKey("emotion", "hann")).card
    cache = CompiledCache(root, make_mapper)
    first = cache.get(card)
    shutil.rmtree(root / "emotion")
    assert cache.get(card) is first
    cache.forget(ModelKey("emotion", "hann"))
    with pytest.raises(MissingCheckpointError):
        cache.get(card)


def test_a_store_that_has_changed_since_is_said_to_have(tmp_path: Path) -> None:
    root = copied(tmp_path)
    path = root / "emotion" / "hann" / "card.json"
    card = store.load(root, ModelKey("emotion", "hann")).card
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "next"}))
    with pytest.raises(DamagedCheckpointError, match=r"now holds version next.*told to reload"):
        CompiledCache(root, make_mapper).get(card)
    shutil.rmtree(root / "emotion")
    with pytest.raises(MissingCheckpointError):
        CompiledCache(root, make_mapper).get(card)


def test_a_network_without_class_activation_maps_is_explained_by_occlusion(tmp_path: Path) -> None:
    root = copied(tmp_path / "store")
    card = store.load(root, ModelKey("emotion", "hann")).card
    model = small_graph(tmp_path / "model.onnx", pooled=False)
    card = store.save(root, card, {"model.onnx": model}).card
    assert CompiledCache(root, make_mapper).get(card).method == "occlusion"


def test_a_network_that_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    root = copied(tmp_path / "store")
    card = store.load(root, ModelKey("emotion", "hann")).card
    model = tmp_path / "model.onnx"
    model.write_bytes(b"no graph")
    card = store.save(root, card, {"model.onnx": model}).card
    with pytest.raises(DamagedCheckpointError, match=r"emotion/hann: model\.onnx cannot be comp"):
        CompiledCache(root, make_mapper).get(card)
