"""The log-mel spectrogram: from the waveform of one clip to the image that a network reads."""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.audio.mel import mel_band_edges, mel_filterbank
from app.audio.stft import WindowName, frame_count, power_spectrogram

# Below this spread (dB) a clip is digital silence or a constant: dividing would only
# amplify rounding noise.
_SMALLEST_SPREAD_DB = 1e-3


class LogMelConfig(BaseModel):
    """Parameters of a checkpoint's input; they travel in its card."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["log-mel"] = "log-mel"
    sample_rate: int = Field(ge=4_000, le=192_000, description="Hz")
    clip_seconds: float = Field(gt=0, le=60, description="length of one clip")
    clip_hop_seconds: float = Field(gt=0, description="step between the clips of a long recording")
    padding: Literal["repeat", "pad"] = Field(
        description="a recording shorter than a clip is repeated, or followed by zeros"
    )
    n_fft: int = Field(ge=16, le=16_384, multiple_of=2, description="window and FFT, samples")
    hop_length: int = Field(ge=1, description="samples between frames")
    window: WindowName
    n_mels: int = Field(ge=1, le=512)
    fmin: float = Field(ge=0, description="Hz")
    fmax: float = Field(gt=0, description="Hz")
    amin: float = Field(gt=0, description="mel power below this counts as this")
    top_db: float = Field(gt=0, description="dB kept below the clip's loudest point")
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
        if self.clip_hop_seconds > self.clip_seconds:
            raise ValueError("clip_hop_seconds must not be longer than clip_seconds")
        return self

    @property
    def clip_samples(self) -> int:
        """Samples in one clip."""
        return round(self.clip_seconds * self.sample_rate)

    @property
    def clip_hop_samples(self) -> int:
        """Samples between the starts of neighbouring clips of a long recording."""
        return max(1, round(self.clip_hop_seconds * self.sample_rate))

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
    centred /= np.float32(max(float(centred.std()), _SMALLEST_SPREAD_DB))
    return centred


def log_mel(clip: NDArray[np.float32], config: LogMelConfig) -> NDArray[np.float32]:
    """Compute the network's input for one clip of `config.clip_samples` samples.

    Returns float32, shape `[n_mels, frames]`: with mean 0 and standard deviation 1, or in dB, as
    `config.normalisation` says.
    """
    db = power_to_db(mel_power(clip, config), amin=config.amin, top_db=config.top_db)
    return normalise(db) if config.normalisation == "clip" else db
