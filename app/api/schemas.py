"""What the API answers with."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.audio.windows import WindowName
from app.checkpoints.labels import TaskName
from app.checkpoints.metrics import Metrics
from app.inference.answers import CheckpointName, Probability, Seconds
from app.inference.names import CheckpointStatus


class Model(BaseModel):
    """A checkpoint of the store."""

    task: TaskName
    window: WindowName
    status: CheckpointStatus = Field(
        description="loaded: answers at once; available: is loaded when it is first asked for; "
        "failed: see `error`"
    )
    version: str | None = None
    labels: list[str] | None = None
    clip_seconds: float | None = None
    metrics: Metrics | None = Field(
        default=None, description="measured on recordings that were held out of training"
    )
    error: str | None = Field(
        default=None,
        description="why it cannot be loaded or, where it is, why what the store holds by now "
        "does not take its place",
    )


class ExplainedClip(BaseModel):
    """The stretch of the recording that was looked at."""

    clip: int = Field(ge=1, description="its number in the recording, from 1")
    start: Seconds
    end: Seconds


class Explanation(BaseModel):
    """Where in a clip's spectrogram the network found a label (Zhou et al., CVPR 2016)."""

    task: TaskName
    label: str = Field(description="the label that is explained", examples=["siren"])
    probability: Probability = Field(description="calibrated probability of `label` in the clip")
    clip: ExplainedClip
    times: list[Seconds] = Field(
        description="centres of the map's columns, s of the recording", examples=[[0.0, 0.64, 1.28]]
    )
    frequencies: list[float] = Field(
        description="centres of the map's rows, Hz", examples=[[95.6, 1774.3]]
    )
    map: list[list[float]] = Field(
        description="what each place says for the label, [frequency][time]: the mean of all "
        "places and `bias` are the label's logit, but for what int8 rounds off",
        examples=[[[0.022, 1.348, 2.398], [5.392, 5.119, 4.768]]],
    )
    bias: float = Field(description="the part of the logit that no place explains")
    checkpoint: CheckpointName


class Spectrogram(BaseModel):
    """The levels of one recording by frequency and time."""

    title: str = Field(examples=["jazz: corner swing (hann window)"])
    times: list[Seconds] = Field(description="centres of the columns, s", examples=[[0.0, 0.0232]])
    frequencies: list[float] = Field(description="of the rows, Hz", examples=[[0.0, 10.767]])
    decibels: list[list[float]] = Field(
        description="dB, 0 the loudest point: [frequency][time]",
        examples=[[[-62.1, -58.94], [-12.5, 0.0]]],
    )


class Spectrograms(BaseModel):
    """One spectrogram, or those that were compared, from left to right."""

    spectrograms: list[Spectrogram]


class SpectralFeatures(BaseModel):
    """What music sounds like, as librosa defines it; spectral ones are means over the frames
    that are less than 60 dB below the loudest.
    """

    centroid: float = Field(description="mean frequency, weighted by magnitude, Hz")
    bandwidth: float = Field(
        description="standard deviation around the centroid, weighted by magnitude, Hz"
    )
    rolloff: float = Field(description="frequency below which 85 % of the magnitude lies, Hz")
    flatness: float = Field(
        description="geometric over arithmetic mean of the power: 0 a tone, 0.56 white noise"
    )
    contrast: float = Field(description="peaks over valleys of the spectrum in each octave, dB")
    zero_crossing_rate: float = Field(description="changes of sign a second")
    tempo: float = Field(
        description="beats a minute; the estimate favours 120, and means nothing without a beat"
    )
    mfcc: list[float] = Field(
        description="the first 13 mel-frequency cepstral coefficients, means over all frames, dB"
    )


class GenreRecording(BaseModel):
    """One recording of the library."""

    clip: int = Field(ge=1, description="its number in `GET /spectrogram`", examples=[1])
    title: str = Field(examples=["corner swing"])
    seconds: Seconds | None = None
    spectral_features: SpectralFeatures | None = None
    error: str | None = Field(default=None, description="why it could not be measured")


class Genre(BaseModel):
    """A folder of the library."""

    genre: str = Field(examples=["jazz"])
    clips: int = Field(ge=1, description="recordings in the folder")
    recordings: list[GenreRecording] = Field(description="the first `limit` of them")
    mean: SpectralFeatures | None = Field(default=None, description="over `recordings`")


class GenreList(BaseModel):
    """The whole library."""

    genres: list[Genre]


class ModelList(BaseModel):
    """Everything in the store."""

    models: list[Model]


class Health(BaseModel):
    """The state of the process."""

    status: Literal["ok"]
    version: str = Field(description="of Earshot")


class Problem(BaseModel):
    """An error, as RFC 9457 describes one."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="names the kind of problem", examples=["/problems/silent"])
    title: str = Field(examples=["The recording is silent"])
    status: int = Field(examples=[422])
    detail: str = Field(description="what was wrong here, and what would be right")
    request_id: str | None = Field(
        default=None, description="as in the header X-Request-ID, and in the service's log"
    )
