"""What the API answers with."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.audio.windows import WindowName
from app.checkpoints.card import Metrics
from app.checkpoints.labels import TaskName

Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, description="seconds")]


class RankedLabel(BaseModel):
    """One label and how probable it is."""

    label: str
    probability: Probability


class Segment(BaseModel):
    """The most probable label of one stretch of a long recording."""

    start: Seconds
    end: Seconds
    label: str
    probability: Probability


class Clip(BaseModel):
    """The recording as it was sent."""

    seconds: Seconds
    sample_rate: int = Field(description="Hz", examples=[44100])
    channels: int = Field(examples=[2])
    format: str = Field(description="container", examples=["wav"])


class CheckpointName(BaseModel):
    """Which checkpoint answered."""

    task: TaskName
    window: WindowName
    version: str


class Classification(BaseModel):
    """What is in a recording."""

    task: TaskName
    label: str = Field(description="the most probable label")
    probability: Probability = Field(description="calibrated probability of `label`")
    ranked: list[RankedLabel] = Field(description="the `top_k` labels, most probable first")
    clip: Clip
    checkpoint: CheckpointName
    segments: list[Segment] | None = Field(
        default=None,
        description="for a recording longer than one clip: the label of each clip, which overlap",
    )


class LoadedModel(BaseModel):
    """A checkpoint that is loaded, or the reason why it is not."""

    task: TaskName
    window: WindowName
    status: Literal["loaded", "failed"]
    version: str | None = None
    labels: list[str] | None = None
    clip_seconds: float | None = None
    metrics: Metrics | None = Field(
        default=None, description="measured on recordings that were held out of training"
    )
    error: str | None = None


class ModelList(BaseModel):
    """Everything in the store."""

    models: list[LoadedModel]


class Genre(BaseModel):
    """One genre of the library."""

    genre: str = Field(examples=["jazz"])
    clips: list[str] = Field(
        description="names of its recordings; the parameter `clip` counts them from 1"
    )


class GenreList(BaseModel):
    """Every genre that has at least one recording."""

    genres: list[Genre]


class Health(BaseModel):
    """The state of the process."""

    status: Literal["ok"]
    version: str = Field(description="of Earshot")
