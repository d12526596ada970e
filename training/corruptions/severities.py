"""The strengths and recordings that tests use, and those that training may draw from.

This is the one place that tells them apart: none of either is on the other side. Noise is told
apart by the folds of ESC-50, which share no source, and speech by the speakers that are held out
of all training.
"""

from collections.abc import Mapping
from typing import Final

from training.corruptions import CorruptionKind
from training.corruptions.effects import (
    Background,
    Clipping,
    Codec,
    Effect,
    Gain,
    PacketLoss,
    Room,
    Telephone,
    Tempo,
)

TEST_NOISE_FOLDS: Final = frozenset({"4", "5"})
"""of ESC-50: sounds in the background of tests"""
TRAINING_NOISE_FOLDS: Final = frozenset({"1", "2", "3"})
"""of ESC-50: sounds that training may put in the background"""

_VOICES = 3
_LAWS: Final = ("alaw", "mulaw", "alaw")

TEST_EFFECTS: Mapping[CorruptionKind, tuple[Effect | Background, ...]] = {
    "noise": tuple(Background(snr) for snr in (20.0, 10.0, 0.0)),
    "speech": tuple(Background(snr, _VOICES) for snr in (20.0, 10.0, 0.0)),
    "room": tuple(Room(rt60) for rt60 in (0.3, 0.7, 1.2)),
    # A good line; a poor one over two networks; hands-free over three.
    "telephone": (
        Telephone(300, 3_400, _LAWS[:1]),
        Telephone(400, 3_000, _LAWS[:2]),
        Telephone(500, 2_500, _LAWS),
    ),
    "codec": (Codec(16, 32), Codec(8, 16), Codec(6, 8)),
    "clipping": tuple(Clipping(fraction) for fraction in (0.05, 0.15, 0.3)),
    "gain": tuple(Gain(gain_db) for gain_db in (-20.0, -40.0, 20.0)),
    "packet-loss": tuple(PacketLoss(fraction) for fraction in (0.02, 0.1, 0.25)),
    "tempo": tuple(Tempo(factor) for factor in (0.9, 1.1, 1.25)),
}
"""kind -> severities 1, 2 and 3"""

TRAINING_EFFECTS: Mapping[CorruptionKind, tuple[Effect | Background, ...]] = {
    "noise": tuple(Background(snr) for snr in (25.0, 15.0, 5.0)),
    "speech": tuple(Background(snr, _VOICES - 1) for snr in (25.0, 15.0, 5.0)),
    "room": tuple(Room(rt60) for rt60 in (0.2, 0.5, 0.9)),
    "telephone": (Telephone(350, 3_200, ("mulaw",)), Telephone(450, 2_800, ("mulaw", "alaw"))),
    "codec": (Codec(24, 40), Codec(12, 24)),
    "clipping": tuple(Clipping(fraction) for fraction in (0.02, 0.1, 0.2)),
    "gain": tuple(Gain(gain_db) for gain_db in (-30.0, -10.0, 10.0)),
    "packet-loss": tuple(PacketLoss(fraction) for fraction in (0.05, 0.15)),
    "tempo": tuple(Tempo(factor) for factor in (0.95, 1.05, 1.15)),
}
"""kind -> strengths, none of which is a severity of `TEST_EFFECTS`"""
