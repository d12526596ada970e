"""What the API answers with."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.audio.windows import WindowName
from app.checkpoints.labels import TaskName
from app.checkpoints.metrics import Metrics
from app.inference.answers import CheckpointStatus


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
    error: str | None = None


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
