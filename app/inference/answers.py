"""What an answer says: the types that the service, its client and the command line share."""

from typing import Annotated

from pydantic import BaseModel, Field

from app.audio.windows import WindowName
from app.checkpoints.labels import TaskName
from app.inference.names import Reason

Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, description="seconds")]
WHY = (
    "why there is no label: `silent`, below -80 dBFS; `unfamiliar`, like no sound in training; "
    "`no_voice`, where an emotion was asked for"
)


class RankedLabel(BaseModel):
    """One label and how probable it is."""

    label: str
    probability: Probability


class Segment(BaseModel):
    """The most probable label of one stretch of a long recording."""

    start: Seconds
    end: Seconds
    label: str | None = Field(description="null where nothing known is heard, see `reason`")
    reason: Reason | None = Field(default=None, description=WHY)
    probability: Probability = Field(description="mean over the stretch, 0 without a label")


class Clip(BaseModel):
    """The recording as it was sent."""

    seconds: Seconds
    sample_rate: int = Field(description="Hz", examples=[44100])
    channels: int = Field(examples=[2])
    format: str = Field(description="container", examples=["wav"])


class Progress(BaseModel):
    """How far a recording has been listened to."""

    seconds: Seconds = Field(description="that were listened to so far")
    total: Seconds | None = Field(
        description="duration of the recording; null where its file does not say"
    )


class CheckpointName(BaseModel):
    """Which checkpoint answered."""

    task: TaskName
    window: WindowName
    version: str


class Classification(BaseModel):
    """What is in a recording."""

    task: TaskName
    label: str | None = Field(
        description="the most probable label, null where the recording is like none of them"
    )
    reason: Reason | None = Field(default=None, description=WHY)
    probability: Probability = Field(
        description="calibrated probability of `label`, 0 where there is none"
    )
    ranked: list[RankedLabel] = Field(
        description="the `top_k` labels, most probable first: what the answer would be if it had "
        "to be one of them; nothing for silence"
    )
    clip: Clip
    checkpoint: CheckpointName
    segments: list[Segment] | None = Field(
        default=None,
        description="for a recording longer than one clip: what is heard when, without gaps",
    )
    shares: dict[str, float] | None = Field(
        default=None,
        description="for a long recording: label -> share of the time, 0 to 1; what is missing "
        "to 1 has no label",
    )
