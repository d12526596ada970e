"""Corruptions of recordings as they happen outdoors: nine kinds, each in three severities.

They measure how a checkpoint holds, as ImageNet-C does for pictures (Hendrycks and Dietterich,
ICLR 2019). What is random in one depends on the recording's name, the kind and the seed alone:
its severities differ by strength and by nothing else.
"""

from typing import Final, Literal

# `--help` reads these and needs none of the packages that corruptions need.

CorruptionKind = Literal[
    "noise", "speech", "room", "telephone", "codec", "clipping", "gain", "packet-loss", "tempo"
]
CORRUPTIONS: Final[tuple[CorruptionKind, ...]] = (
    *("noise", "speech", "room", "telephone", "codec", "clipping", "gain", "packet-loss"),
    "tempo",
)
BACKGROUND_KINDS: Final[tuple[CorruptionKind, ...]] = ("noise", "speech")
"""kinds that need recordings of other sounds"""
SEVERITIES: Final = (1, 2, 3)
