"""What counts as silence."""

SILENCE_DBFS = -80.0
"""What swings less than this level, in dB of full scale, is silent."""
_SILENCE = 10 ** (SILENCE_DBFS / 20)


def is_silent(lowest: float, highest: float) -> bool:
    """Whether samples between these two, full scale being +-1, cannot be heard.

    A constant level, as some microphones add, is no sound.
    """
    return (highest - lowest) / 2 < _SILENCE
