"""The log-mel spectrogram: from the waveform of one clip to the image that a network reads."""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from app.audio.clips import ClipConfig
from app.audio.mel import mel_band_edges, mel_filterbank
from app.audio.stft import WindowName, frame_count, power_spectrogram

SMALLEST_SPREAD_DB = 1e-3
"""Below this spread a clip is digital silence or a constant: dividing would only amplify rounding
noise."""
# Of the spectrogram of one clip, before and after the mel bands: some hundred megabytes.
_MAX_VALUES = 1 << 25


class LogMelConfig(ClipConfig):
    """Parameters of a log-mel spectrogram; they travel in the cards of networks that read it."""

    kind: Literal["log-mel"] = "log-mel"
    n_fft: int = Field(ge=16, le=16_384, multiple_of=2, description="window and FFT, samples")
    hop_length: int = Field(ge=1, le=16_384, description="samples between frames")
    window: WindowName
    n_mels: int = Field(ge=1, le=512)
    fmin: float = Field(ge=0, description="Hz")
    fmax: float = Field(gt=0, description="Hz")
    amin: float = Field(ge=1e-30, le=1, description="mel power below this counts as this")
    top_db: float = Field(ge=1, le=1000, description="dB kept below the clip's loudest point")
    normalisation: Literal["clip", "none"] = Field(
        description="clip: subtract the clip's mean and divide by its standard deviation (dB); "
        "none: dB as they are"
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.fmax > self.sample_rate / 2 or self.fmin >= self.fmax:
            raise ValueError(
                f"need fmin < fmax <= sample_rate / 2 = {self.sample_rate / 2:g} Hz, "
                f"got fmin={self.fmin:g}, fmax={self.fmax:g}"
            )
        values = self.frames * (self.n_fft // 2 + self.n_mels)
        if values > _MAX_VALUES:
            raise ValueError(
                f"the spectrogram of a clip would have {values} values, at most {_MAX_VALUES} "
                "are computed; take a longer hop_length or a smaller n_fft"
            )
        return self

    @property
    def frames(self) -> int:
        """Frames in the spectrogram of one clip."""
        return frame_count(self.clip_samples, self.hop_length)


def mel_power(clip: NDArray[np.float32], config: LogMelConfig) -> NDArray[np.float32]:
    """Compute the mel power spectrogram of `clip` (mono, at `config.sample_rate`).

    Returns float32, shape `[n_mels, frames]`, all >= 0.
    """
    power = power_spectrogram(
        clip,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        window=config.window,
    )
    filters = mel_filterbank(
        config.sample_rate,
        config.n_fft,
        config.n_mels,
        config.fmin,
        config.fmax,
    )
    mel: NDArray[np.float32] = filters @ power
    return mel


def mel_frequencies(config: LogMelConfig) -> NDArray[np.float64]:
    """Return the centre frequencies of the mel bands, Hz, rising, shape `[n_mels]`."""
    return mel_band_edges(config.n_mels, config.fmin, config.fmax)[1:-1]


def power_to_db(power: NDArray[np.float32], *, amin: float, top_db: float) -> NDArray[np.float32]:
    """Return 10 log10 of `power`, at least `amin`, kept within `top_db` of the maximum.

    The same as `librosa.power_to_db(power, amin=amin, top_db=top_db)`.
    """
    db: NDArray[np.float32] = 10 * np.log10(np.maximum(power, np.float32(amin)))
    lowest = float(db.max()) - top_db
    return np.maximum(db, np.float32(lowest))


def normalise(db: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring the spectrogram of one clip to mean 0 and standard deviation 1.

    Recordings come at any gain; this makes the network blind to it. A constant
    spectrogram (digital silence) becomes all zeros.
    """
    centred: NDArray[np.float32] = db - db.mean()
    centred /= np.float32(max(float(centred.std()), SMALLEST_SPREAD_DB))
    return centred


def log_mel(clip: NDArray[np.float32], config: LogMelConfig) -> NDArray[np.float32]:
    """Compute the network's input for one clip of `config.clip_samples` samples.

    Returns float32, shape `[n_mels, frames]`: with mean 0 and standard deviation 1, or in dB, as
    `config.normalisation` says.
    """
    db = power_to_db(mel_power(clip, config), amin=config.amin, top_db=config.top_db)
    return normalise(db) if config.normalisation == "clip" else db
