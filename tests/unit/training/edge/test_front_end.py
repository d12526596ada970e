"""The front end inside a graph against the one that the service computes."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from app.audio.log_mel import LogMelConfig, log_mel
from app.inference.engine import OpenVinoEngine
from tests.support.cards import PARAMETERS
from tests.support.sounds import make, tone
from training.edge.front_end import SPECTROGRAM, WAVEFORM, front_end

TOLERANCE = 1e-3
CONFIGS = {
    "as trained": {},
    "hamming": {"window": "hamming"},
    "a window that is no power of two": {"n_fft": 480, "hop_length": 160, "window": "rectangular"},
    "clips that no chunk divides": {"clip_seconds": 1.00005, "hop_length": 256},
    "dB as they are": {"normalisation": "none", "n_mels": 40, "fmin": 0.0, "top_db": 60.0},
}


def clips(config: LogMelConfig) -> NDArray[np.float32]:
    """Return a siren at full scale, a faint bark in noise, a tone that ends, and silence."""
    length = config.clip_samples
    noise = 1e-3 * np.random.default_rng(0).standard_normal(length)
    ended = np.where(np.arange(length) < length // 3, tone(440.0, length / 16_000)[:length], 0)
    faint = 1e-3 * np.resize(make("dog_bark", 2), length) + noise
    silence = np.zeros(length)
    return np.stack([np.resize(make("siren", 1), length), faint, ended, silence]).astype(np.float32)


@pytest.mark.parametrize("changed", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_graph_computes_the_spectrogram_of_the_service(
    changed: dict[str, object], runtime: str, tmp_path: Path
) -> None:
    config = LogMelConfig(**{**PARAMETERS, **changed})
    path = tmp_path / "front.onnx"
    onnx.save(front_end(config, 18, 10), path)
    inputs = clips(config)
    if runtime == "openvino":
        computed = OpenVinoEngine(path).infer(inputs)
    else:
        computed = onnxruntime.InferenceSession(path).run([SPECTROGRAM], {WAVEFORM: inputs})[0]
    expected = np.stack([log_mel(clip, config)[None] for clip in inputs])
    # dB are some twenty times as large as what a normalised spectrogram holds.
    tolerance = TOLERANCE * (1 if config.normalisation == "clip" else 20)
    np.testing.assert_allclose(computed, expected, rtol=0, atol=tolerance)


def test_the_graph_holds_no_tables() -> None:
    graph = front_end(LogMelConfig(**PARAMETERS), 18, 10)
    assert graph.ByteSize() < 6_000
