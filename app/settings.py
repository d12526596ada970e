"""All settings of the service, read from the environment once."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.inference.names import EngineName

_STORE = Path(__file__).resolve().parent.parent / "models_store"


class Settings(BaseSettings):
    """Each field is an environment variable with the prefix `EARSHOT_`."""

    model_config = SettingsConfigDict(env_prefix="EARSHOT_", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    log_level: str = Field(default="info", pattern="^(critical|error|warning|info|debug)$")
    models_dir: Path = Field(default=_STORE, description="the store of checkpoints")
    genres_dir: Path = Field(
        default=_STORE / "genres",
        description="one folder of recordings for each genre; all who reach the service hear them",
    )
    max_upload_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1, description="largest file that is accepted"
    )
    max_seconds: float = Field(default=3600.0, gt=0, description="longest recording accepted")
    max_picture_seconds: float = Field(
        default=600.0, gt=0, description="longest recording that is drawn or explained"
    )
    max_batch_bytes: int = Field(
        default=1024 * 1024 * 1024, ge=1, description="largest request of many files"
    )
    max_batch_files: int = Field(default=1000, ge=1, description="most files in one request")
    max_requests: int = Field(
        default=32, ge=1, description="requests that are worked on at the same time"
    )
    request_seconds: float = Field(
        default=120.0, gt=0, description="longest time from upload to answer"
    )
    engine: EngineName = Field(
        default="auto", description="auto: torch where it finds a GPU, else OpenVINO"
    )
    streams: int = Field(
        default=1, ge=1, description="batches that one network works on at the same time"
    )
    preload: Literal["all", "default", "none"] = Field(
        default="default",
        description="checkpoints loaded at the start; default: of the Hann window. "
        "Others are loaded when they are first asked for",
    )
    release_seconds: float = Field(
        default=900.0, gt=0, description="a checkpoint that nobody asks for is released"
    )
    cache_dir: Path | None = Field(
        default=None, description="folder for compiled networks, for a quicker next start"
    )
    threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="recordings that are decoded at the same time",
    )
