"""What counts as silence; loads nothing, so that decoder processes stay small."""

SILENCE_DBFS = -80.0
"""Samples that swing by less than this level, in dB of full scale, are silent."""
_SILENCE = 10 ** (SILENCE_DBFS / 20)


def is_silent(lowest: float, highest: float) -> bool:
    """Return whether samples between these two, full scale being +-1, cannot be heard.

    A constant level, as some microphones add, is no sound.
    """
    return (highest - lowest) / 2 < _SILENCE
