"""From several channels to one."""

import numpy as np
from numpy.typing import NDArray

from app.audio.silence import SILENCE_DBFS

# The power of a mix of unlike channels is that of a channel divided by their number, and of like
# ones it is more. Where it is less than a tenth of that, they cancel each other.
_CANCELLED = 0.1
# A channel that was chosen is left for one with this times its power: else each piece of two that
# are as loud might be of the other.
_LOUDER = 4.0
_SILENT_POWER = 10 ** (SILENCE_DBFS / 10) / 2
# Samples over which channels are compared: a second or two.
_PIECE = 1 << 16
_STRIDE = 16


class Downmixer:
    """Mixes the channels of a recording, block by block, to one.

    That is their mean, unless they cancel each other, as where one is wired the wrong way round,
    or one of many is lost in the silence of the others: then it is the loudest of them.
    """

    def __init__(self) -> None:
        self._loudest = 0

    def mix(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return one channel of a block `[frames, channels]`, shape `[frames]`."""
        channels = block.shape[1]
        # By BLAS: NumPy's mean over an axis as short as two takes ten times as long.
        with np.errstate(
            invalid="ignore", over="ignore"
        ):  # infinities are for the reader to refuse
            mono: NDArray[np.float32] = block @ np.full(channels, 1 / channels, np.float32)
            if channels > 1:
                for start in range(0, len(block), _PIECE):
                    piece, mixed = block[start : start + _PIECE], mono[start : start + _PIECE]
                    if _may_be_lost(piece, mixed) and self._is_lost(piece):
                        mixed[:] = piece[:, self._loudest]
        return mono

    def _is_lost(self, piece: NDArray[np.float32]) -> bool:
        """Return whether the mean lies far below the channels; if so, choose the loudest."""
        frames, channels = piece.shape
        mean = np.full(frames, 1 / frames, np.float32) @ piece
        covariance = piece.T @ piece / frames - np.outer(mean, mean)
        powers = covariance.diagonal()
        mixed = covariance.sum() / channels**2
        if mixed * channels >= _CANCELLED * powers.mean() and (
            mixed >= _SILENT_POWER or powers.max() < _SILENT_POWER
        ):
            return False
        if not np.isfinite(powers).all():
            return False
        if powers.max() > _LOUDER * powers[self._loudest]:
            self._loudest = int(powers.argmax())
        return True


def _may_be_lost(piece: NDArray[np.float32], mixed: NDArray[np.float32]) -> bool:
    """Return False where `_is_lost` surely would, in a tenth of its time."""
    frames, channels = piece.shape
    level = float(mixed[::_STRIDE].mean())  # a constant one, as some microphones add
    power = float(np.vdot(mixed, mixed)) / frames - level**2
    threshold = _CANCELLED * float(np.vdot(piece, piece)) / (frames * channels)
    return not power * channels >= max(threshold, channels * _SILENT_POWER)
