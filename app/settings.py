"""All settings of the service, read from the environment once."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from pydantic import AliasChoices, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.decoding.limits import AudioLimits
from app.inference import EngineConfig, EngineName

LogFormat = Literal["json", "text"]

_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Each field is an environment variable with the prefix `EARSHOT_`."""

    model_config = SettingsConfigDict(env_prefix="EARSHOT_", frozen=True, populate_by_name=True)

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65_535, description="to listen on; 0: any free one")
    log_level: str = Field(
        default="info",
        pattern="^(critical|error|warning|info|debug)$",
        description="least severe messages that are logged",
    )
    log_format: LogFormat = Field(
        default="text", description="of a line on stderr: text for people, json for machines"
    )
    metrics: bool = Field(default=True, description="whether GET /metrics answers")
    metrics_public: bool = Field(default=False, description="whether /metrics needs no key")
    otlp_endpoint: str = Field(
        default="",
        pattern="^(https?://.+)?$",
        validation_alias=AliasChoices("EARSHOT_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="collector that traces are sent to (OTLP over HTTP); empty: none are made",
    )
    api_keys_file: Path | None = Field(
        default=None, description="API keys; without the file everyone may use the service"
    )
    docs: bool = Field(default=True, description="whether there are /docs and /openapi.json")
    cors_origins: list[str] = Field(
        default=[], description="other sites whose pages may ask, as a JSON list"
    )
    rate_per_minute: float = Field(
        default=0.0, ge=0, description="requests of one client in a minute; 0: any number"
    )
    rate_burst: int = Field(
        default=20, ge=1, description="requests that a client may make at once after a pause"
    )
    max_client_requests: int = Field(
        default=0, ge=0, description="requests of one client at the same time; 0: any number"
    )
    models_dir: Path = Field(default=_ROOT / "models_store", description="the store of checkpoints")
    genres_dir: Path = Field(
        default=_ROOT / "assets" / "genres",
        description="one folder of recordings for each genre; all who reach the service hear them",
    )
    max_upload_bytes: int = Field(
        default=320 * 1024 * 1024,
        ge=1,
        description="largest file that is accepted: an hour of 16-bit WAV at 44.1 kHz, mono",
    )
    upload_memory_bytes: int = Field(
        default=1024 * 1024 * 1024,
        ge=1,
        description="of the uploads that are held at the same time, but for 4 MiB of each; "
        "more get 503",
    )
    max_seconds: float = Field(default=3600.0, gt=0, description="longest recording accepted")
    max_render_seconds: float = Field(
        default=600.0, gt=0, description="longest recording that is drawn or explained"
    )
    max_channels: int = Field(default=32, ge=1, description="most channels of a recording")
    min_sample_rate: int = Field(default=4_000, ge=1, description="lowest of a recording, Hz")
    max_sample_rate: int = Field(default=768_000, ge=1, description="highest of a recording, Hz")
    decoder_processes: int = Field(
        default_factory=lambda: min(2, os.cpu_count() or 1),
        ge=1,
        description="processes that decode MP3, M4A, MP4, AAC and WebM, one file each at a time",
    )
    decode_timeout_seconds: float = Field(
        default=30.0, gt=0, description="longest time of such a process for one file"
    )
    decoder_memory_bytes: int = Field(
        default=320 * 1024 * 1024,
        ge=128 * 1024 * 1024,
        description="memory of such a process, beside the file",
    )
    max_batch_bytes: int = Field(
        default=1024 * 1024 * 1024, ge=1, description="largest request of many files"
    )
    max_batch_files: int = Field(default=1000, ge=1, description="most files in one request")
    max_requests: int = Field(
        default=32, ge=1, description="requests that are worked on at the same time"
    )
    max_connections: int = Field(
        default=512, ge=1, description="beyond, the one that is idle for longest is closed"
    )
    client_timeout_seconds: float = Field(
        default=20.0,
        gt=0,
        description="longest wait for a client: for the head of a request, in all for its body, "
        "and until it reads the answer",
    )
    min_upload_bytes_per_second: float = Field(
        default=8_000.0,
        gt=0,
        description="slowest upload: the wait for a body grows by a second with so many bytes",
    )
    request_timeout_seconds: float = Field(
        default=120.0, gt=0, description="longest time from upload to answer"
    )
    engine: EngineName = Field(
        default="auto", description="auto: torch where it finds a GPU, else OpenVINO"
    )
    engine_streams: int = Field(
        default=1, ge=1, description="batches that one network works on at the same time"
    )
    preload: Literal["all", "default", "none"] = Field(
        default="default",
        description="checkpoints loaded at the start; default: the one that answers by default, "
        "of each task. Others are loaded when they are first asked for",
    )
    model_idle_seconds: float = Field(
        default=900.0, gt=0, description="a checkpoint that is idle for so long is released"
    )
    cache_dir: Path | None = Field(
        default=None, description="folder for compiled networks, for a quicker next start"
    )
    drain_seconds: float = Field(
        default=0.0,
        ge=0,
        description="after SIGTERM: not ready, but still answering, before the listener closes",
    )
    shutdown_timeout_seconds: int = Field(
        default=30, ge=1, description="after that, longest wait for the requests that are left"
    )
    workers: int = Field(
        default=1, ge=1, description="processes, each with networks and limits of its own"
    )
    threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="recordings that are decoded at the same time",
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.upload_memory_bytes < self.max_upload_bytes:
            raise ValueError(
                f"upload_memory_bytes ({self.upload_memory_bytes}) must be at least "
                f"max_upload_bytes ({self.max_upload_bytes}), or the largest file would never "
                "be accepted"
            )
        return self

    @property
    def engine_config(self) -> EngineConfig:
        """How the networks run."""
        return EngineConfig(self.engine, self.engine_streams, self.cache_dir, self.max_requests)

    @property
    def audio_limits(self) -> AudioLimits:
        """The limits of recordings that are classified."""
        return AudioLimits(
            self.max_seconds, self.max_channels, self.min_sample_rate, self.max_sample_rate
        )

    @property
    def render_limits(self) -> AudioLimits:
        """The limits of recordings that are drawn or explained."""
        return replace(self.audio_limits, max_seconds=self.max_render_seconds)
