"""A card, and the input that it describes, for tests that need any."""

from datetime import date
from typing import Any

from app.audio.log_mel import LogMelConfig
from app.checkpoints.card import Card, Corpus, Training

LABELS = (
    *("air_conditioner", "car_horn", "children_playing", "dog_bark", "drilling"),
    *("engine_idling", "gun_shot", "jackhammer", "siren", "street_music"),
)
SCIPY_NAME = {"hann": "hann", "hamming": "hamming", "rectangular": "boxcar"}
"""our windows -> SciPy's and librosa's"""

PARAMETERS: dict[str, Any] = {
    "sample_rate": 16_000,
    "clip_seconds": 2.0,
    "clip_hop_seconds": 1.0,
    "padding": "repeat",
    "n_fft": 1024,
    "hop_length": 320,
    "window": "hann",
    "n_mels": 64,
    "fmin": 50.0,
    "fmax": 8000.0,
    "amin": 1e-10,
    "top_db": 80.0,
    "normalisation": "clip",
}
LOG_MEL = LogMelConfig(**PARAMETERS)

CARD = Card(
    task="urban-sound",
    name="hann",
    version="2026.01.02-abcdef12",
    created=date(2026, 1, 2),
    labels=LABELS,
    network="resnet50",
    input=LOG_MEL,
    temperature=1.25,
    training=Training(
        corpora=(Corpus(name="urbansound8k", licence="CC BY-NC 3.0", clips=10, groups=5),),
        held_out={"urbansound8k": ("1",)},
        skipped_clips=0,
        epochs=3,
        seed=7,
        pretrained=None,
    ),
    metrics=None,
    files={"model.onnx": "0" * 64},
)
