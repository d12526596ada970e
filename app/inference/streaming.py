"""Sound that is still going on: clips of what was heard last."""

import numpy as np
from numpy.typing import NDArray

from app.audio.clips import pad_or_repeat
from app.audio.log_mel import LogMelConfig
from app.decoding.recording import mono_resampler

_FULL_SCALE = 32_768


class LiveClips:
    """Cuts PCM that comes in pieces into clips, one each hop."""

    def __init__(self, config: LogMelConfig, *, sample_rate: int, hop_seconds: float) -> None:
        """Nothing is heard yet.

        Args:
            config: how long a clip is, and at which rate.
            sample_rate: of the PCM, Hz.
            hop_seconds: between the ends of neighbouring clips.
        """
        self._config = config
        self._hop = round(hop_seconds * config.sample_rate)
        self._resample = mono_resampler(sample_rate, config.sample_rate)
        self._held = np.empty(0, np.float32)
        self._heard = 0
        self._following = self._hop  # sample at which the next clip ends

    def feed(self, pcm: bytes) -> list[tuple[float, NDArray[np.float32]]]:
        """Take the next piece.

        Args:
            pcm: 16-bit little-endian samples of one channel.

        Returns:
            for each clip that ends in it: when, in seconds since the beginning, and its
            samples; before a whole clip was heard, what was is repeated as the front end says.

        Raises ValueError when half a sample is left over.
        """
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(_FULL_SCALE)
        resampled = self._resample(samples)
        self._held = np.concatenate([self._held, resampled])
        self._heard += resampled.size
        length, rate = self._config.clip_samples, self._config.sample_rate
        clips = []
        while self._following <= self._heard:
            end = self._held.size - (self._heard - self._following)
            clip = self._held[max(0, end - length) : end]
            clips.append(
                (self._following / rate, pad_or_repeat(clip, length, self._config.padding))
            )
            self._following += self._hop
        # Of the next clip, all but its last hop was heard already.
        self._held = self._held[-(length + self._hop) :]
        return clips
