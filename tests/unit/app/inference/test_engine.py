"""The OpenVINO engine on a small graph of known answers: mean and maximum of each input."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from scipy.special import softmax

from app.audio.clips import clip_starts
from app.audio.log_mel import log_mel
from app.inference.engine import OpenVinoEngine, apply_temperature, recording_outputs
from tests.support.cards import LOG_MEL
from tests.support.sounds import make


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = ["batch", 1, LOG_MEL.n_mels, LOG_MEL.frames]
    axes = helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3])
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=1),
        helper.make_node("ReduceMax", ["x", "axes"], ["max"], keepdims=1),
        helper.make_node("Concat", ["mean", "max"], ["both"], axis=1),
        helper.make_node("Flatten", ["both"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "statistics",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [axes],
    )
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


@pytest.fixture(scope="module")
def engine(graph: Path) -> OpenVinoEngine:
    return OpenVinoEngine(graph)


def expected(batch: np.ndarray) -> np.ndarray:
    return np.stack([batch.mean(axis=(1, 2, 3)), batch.max(axis=(1, 2, 3))], axis=1)


def batch_of(size: int, seed: int) -> np.ndarray:
    shape = (size, 1, LOG_MEL.n_mels, LOG_MEL.frames)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_any_batch_size(engine: OpenVinoEngine, size: int) -> None:
    batch = batch_of(size, seed=size)
    np.testing.assert_allclose(engine.infer(batch), expected(batch), atol=1e-3)


def test_many_threads_get_their_own_answers(engine: OpenVinoEngine) -> None:
    batches = [batch_of(1 + seed % 3, seed) + seed for seed in range(60)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(engine.infer, batches))
    for batch, answer in zip(batches, answers, strict=True):
        np.testing.assert_allclose(answer, expected(batch), rtol=2e-3, atol=1e-2)


FIRST_INFERENCES = """
import sys, threading
from pathlib import Path
import numpy as np
from app.inference.engine import OpenVinoEngine

sys.setswitchinterval(1e-7)  # threads interrupt each other as often as can be
engine = OpenVinoEngine(Path(sys.argv[1]))
together = threading.Barrier(4)

def infer():
    together.wait()
    engine.infer(np.zeros((1, 1, 64, 101), np.float32))

threads = [threading.Thread(target=infer) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("attempt", range(6))
def test_the_first_inferences_of_a_process_may_come_at_once(graph: Path, attempt: int) -> None:
    """They used to wait for each other for ever, now and then: see the engine's constructor."""
    command = [sys.executable, "-c", FIRST_INFERENCES, str(graph)]
    assert subprocess.run(command, timeout=20, check=True).returncode == 0


DROPPED_ELSEWHERE = """
import os, signal, sys, threading
from pathlib import Path
from app.inference.engine import OpenVinoEngine

signal.signal(signal.SIGTERM, lambda number, frame: print("handled"))
engines = [OpenVinoEngine(Path(sys.argv[1]))]
dropping = threading.Thread(target=engines.clear)
dropping.start()
dropping.join()
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_signal_is_handled_after_an_engine_was_dropped_by_another_thread(graph: Path) -> None:
    command = [sys.executable, "-c", DROPPED_ELSEWHERE, str(graph)]
    process = subprocess.run(command, timeout=20, check=False, capture_output=True, text=True)
    assert (process.returncode, process.stdout) == (0, "handled\n")


def test_every_clip_of_a_recording_is_answered_in_order(engine: OpenVinoEngine) -> None:
    samples = np.concatenate([make("siren", 1, 9.0), make("drilling", 2, 12.0)])
    length = LOG_MEL.clip_samples
    first_samples = clip_starts(samples.size, length, LOG_MEL.clip_hop_samples)
    assert len(first_samples) == 20  # more than the engine is given at once
    clips = [samples[start : start + length] for start in first_samples]
    spectrograms = np.stack([log_mel(clip, LOG_MEL) for clip in clips])[:, None]
    logits = recording_outputs(engine, samples, LOG_MEL)
    np.testing.assert_allclose(logits, expected(spectrograms), rtol=5e-3, atol=5e-3)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(RuntimeError):
        OpenVinoEngine(tmp_path / "model.onnx")


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_calibration_divides_the_logits(temperature: float) -> None:
    logits = np.float32([[3, 1, -2], [0, 0, 0]])
    np.testing.assert_allclose(
        apply_temperature(logits, temperature), softmax(logits / temperature, axis=1), rtol=1e-6
    )


def test_a_cache_that_cannot_be_used_is_done_without(graph: Path, tmp_path: Path) -> None:
    spectrogram = np.ones((1, 1, LOG_MEL.n_mels, LOG_MEL.frames), np.float32)
    blocked = tmp_path / "file"
    blocked.touch()
    assert OpenVinoEngine(graph, cache=blocked / "cache").infer(spectrogram).tolist() == [[1, 1]]
    cache = tmp_path / "cache"
    for _ in range(3):  # made, cut short, and made again
        assert OpenVinoEngine(graph, cache=cache).infer(spectrogram).tolist() == [[1, 1]]
        [network] = cache.glob("*.blob")
        network.write_bytes(network.read_bytes()[:1000])
