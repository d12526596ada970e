"""The front end: one clip's waveform to the picture that the network reads."""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.audio.mel import band_edges, mel_filterbank
from app.audio.stft import frame_count, power_spectrogram
from app.audio.windows import WindowName

# Below this spread (dB) a clip is digital silence or a constant: dividing would only
# blow up rounding noise.
_SMALLEST_SPREAD_DB = 1e-3


class FrontEnd(BaseModel):
    """Parameters of the log-mel front end. They travel in a checkpoint's card."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample_rate: int = Field(ge=4_000, le=192_000, description="Hz")
    clip_seconds: float = Field(gt=0, le=60, description="length of one clip")
    clip_hop_seconds: float = Field(gt=0, description="step between the clips of a long recording")
    short_clip: Literal["repeat", "pad"] = Field(
        description="a recording shorter than a clip is repeated, or followed by zeros"
    )
    n_fft: int = Field(ge=16, le=16_384, multiple_of=2, description="window and FFT, samples")
    hop_length: int = Field(ge=1, description="samples between frames")
    window: WindowName
    n_mels: int = Field(ge=1, le=512)
    fmin: float = Field(ge=0, description="Hz")
    fmax: float = Field(gt=0, description="Hz")
    log_floor: float = Field(gt=0, description="mel power below this counts as this")
    dynamic_range_db: float = Field(gt=0, description="dB kept below the clip's loudest point")
    normalisation: Literal["clip"] = Field(
        description="clip: subtract the clip's mean and divide by its standard deviation (dB)"
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
        """Frames in one clip's spectrogram."""
        return frame_count(self.clip_samples, self.hop_length)


def mel_power(clip: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    """Mel power spectrogram of `clip` (mono, at `front_end.sample_rate`).

    Returns float32, shape `[n_mels, frames]`, all >= 0.
    """
    power = power_spectrogram(
        clip,
        n_fft=front_end.n_fft,
        hop_length=front_end.hop_length,
        window=front_end.window,
    )
    filters = mel_filterbank(
        front_end.sample_rate,
        front_end.n_fft,
        front_end.n_mels,
        front_end.fmin,
        front_end.fmax,
    )
    mel: NDArray[np.float32] = filters @ power
    return mel


def band_centres(front_end: FrontEnd) -> NDArray[np.float64]:
    """Centre frequencies of the mel bands, Hz, rising."""
    return band_edges(front_end.n_mels, front_end.fmin, front_end.fmax)[1:-1]


def decibels(
    power: NDArray[np.float32], *, floor: float, dynamic_range_db: float
) -> NDArray[np.float32]:
    """10 log10 of `power`, at least `floor`, kept within `dynamic_range_db` of the maximum.

    The same as `librosa.power_to_db(power, amin=floor, top_db=dynamic_range_db)`.
    """
    db: NDArray[np.float32] = 10 * np.log10(np.maximum(power, np.float32(floor)))
    lowest = float(db.max()) - dynamic_range_db
    return np.maximum(db, np.float32(lowest))


def normalise(db: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring one clip's spectrogram to mean 0 and standard deviation 1.

    Recordings come at any gain; this makes the network blind to it. A constant
    spectrogram (digital silence) becomes all zeros.
    """
    centred: NDArray[np.float32] = db - db.mean()
    centred /= np.float32(max(float(centred.std()), _SMALLEST_SPREAD_DB))
    return centred


def log_mel(clip: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    """The network's input for one clip of `front_end.clip_samples` samples.

    Returns float32, shape `[n_mels, frames]`, mean 0 and standard deviation 1.
    """
    db = decibels(
        mel_power(clip, front_end),
        floor=front_end.log_floor,
        dynamic_range_db=front_end.dynamic_range_db,
    )
    return normalise(db)
