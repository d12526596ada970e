"""All settings of the service, read from the environment once."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

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
    max_seconds: float = Field(default=600.0, gt=0, description="longest recording accepted")
    threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="requests that are decoded and classified at the same time",
    )
