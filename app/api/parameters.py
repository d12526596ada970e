"""The parameters that several routes take."""

from typing import Annotated

from fastapi import Path, Query

from app.audio.stft import WindowName
from training.tasks import TaskName

Task = Annotated[TaskName, Path(description="what to listen for")]
Window = Annotated[WindowName, Query(description="analysis window of the checkpoint that answers")]
TopK = Annotated[int, Query(ge=1, le=100, description="labels in `ranked`")]
