"""All settings of the service, read from the environment once."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.decoding.limits import AudioLimits
from app.inference import EngineConfig, EngineName
from earshot.schemas import Slug

LogFormat = Literal["json", "text"]

_ROOT = Path(__file__).resolve().parent.parent
_PREFIX = "EARSHOT_"
# Of the client, the command line and the tests.
_OTHER_VARIABLES = frozenset(
    {
        *("EARSHOT_API_KEY", "EARSHOT_SERVER"),
        *("EARSHOT_TEST_DATA", "EARSHOT_TEST_TRAINING"),
    }
)


class InvalidSettingsError(ValueError):
    """The environment sets what is not accepted; the message has a line for each variable."""


def _parse_list(value: object) -> object:
    """Split text at its commas; lists in JSON are accepted too."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [item.strip() for item in value.split(",") if item.strip()]
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("expected items separated by commas, or a list in JSON") from None


_TextList = Annotated[list[str], NoDecode, BeforeValidator(_parse_list)]


class Settings(BaseSettings):
    """Each field is an environment variable with the prefix `EARSHOT_`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, populate_by_name=True)

    host: str = Field(
        default="127.0.0.1", description="address to listen on; `::`: all, of IPv4 too"
    )
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
    allowed_hosts: _TextList = Field(
        default=[],
        description="names, beside localhost and addresses, by which clients may ask; "
        "`*.example.org`: all below it, `*`: any",
    )
    cors_origins: _TextList = Field(default=[], description="other sites whose pages may ask")
    trusted_proxies: _TextList = Field(
        default=[],
        description="addresses and networks of proxies whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are believed",
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
        default=640 * 1024 * 1024,
        ge=1,
        description="of the uploads that are held at the same time, but for 4 MiB of each; "
        "more get 503",
    )
    memory_bytes: int = Field(
        default=2 * 1024 * 1024 * 1024,
        ge=512 * 1024 * 1024,
        description="memory of the service's own process, networks included; while it has more, "
        "requests get 503",
    )
    max_seconds: float = Field(default=3600.0, gt=0, description="longest recording accepted")
    max_render_seconds: float = Field(
        default=600.0, gt=0, description="longest recording that is drawn or explained"
    )
    max_channels: int = Field(default=32, ge=1, description="most channels of a recording")
    min_sample_rate: int = Field(default=4_000, ge=1, description="lowest of a recording, Hz")
    max_sample_rate: int = Field(default=768_000, ge=1, description="highest of a recording, Hz")
    max_samples: int = Field(
        default=3600 * 48_000 * 2,
        ge=1,
        description="most samples of a recording, those of all channels: an hour of stereo at "
        "48 kHz",
    )
    decoder_processes: int = Field(
        default_factory=lambda: min(2, os.cpu_count() or 1),
        ge=1,
        description="processes that decode what is compressed, one file each at a time",
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
    max_live_streams: int = Field(
        default=8, ge=1, description="WebSockets of live sound at the same time"
    )
    max_connections: int = Field(
        default=512, ge=1, description="beyond, the one that is idle for longest is closed"
    )
    client_timeout_seconds: float = Field(
        default=20.0,
        gt=0,
        description="longest wait for a client: for the head of a request, in a body or in live "
        "sound, and until it reads the answer",
    )
    min_bytes_per_second: float = Field(
        default=8_000.0,
        gt=0,
        description="slowest client: so many bytes that it sends or reads make up for a second of "
        "waiting",
    )
    request_timeout_seconds: float = Field(
        default=120.0, gt=0, description="longest time from upload to answer"
    )
    default_checkpoint: Annotated[dict[Slug, Slug], NoDecode] = Field(
        default={},
        description="what answers where a request names no checkpoint. Of other tasks it is "
        "hann, or the first",
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
        default=900.0,
        gt=0,
        description="a checkpoint that is idle for so long is released, unless it was preloaded",
    )
    load_timeout_seconds: float = Field(
        default=120.0,
        gt=0,
        description="longest time for a checkpoint to load and answer its self-test",
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

    @field_validator("default_checkpoint", mode="before")
    @classmethod
    def _parse_keys(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [key.strip().partition("/") for key in value.split(",") if key.strip()]
        wrong = [f"{task}{slash}{name}" for task, slash, name in pairs if not task or not name]
        if wrong:
            raise ValueError(f"expected task/checkpoint, such as emotion/hann, got {wrong[0]!r}")
        return {task: name for task, _, name in pairs}

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, proxies: list[str]) -> list[str]:
        for proxy in proxies:
            ip_network(proxy)  # raises ValueError, which says why it is none
        return proxies

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.upload_memory_bytes < self.max_upload_bytes:
            raise ValueError(
                f"EARSHOT_UPLOAD_MEMORY_BYTES ({self.upload_memory_bytes}) must be at least "
                f"EARSHOT_MAX_UPLOAD_BYTES ({self.max_upload_bytes}), or the largest file would "
                "never be accepted"
            )
        return self

    @property
    def engine_config(self) -> EngineConfig:
        """How the networks run."""
        return EngineConfig(
            self.engine,
            self.engine_streams,
            self.cache_dir,
            self.max_requests,
            self.load_timeout_seconds,
        )

    @property
    def audio_limits(self) -> AudioLimits:
        """The limits of recordings that are classified."""
        return AudioLimits(
            self.max_seconds,
            self.max_channels,
            self.min_sample_rate,
            self.max_sample_rate,
            self.max_samples,
        )

    @property
    def render_limits(self) -> AudioLimits:
        """The limits of recordings that are drawn or explained."""
        return replace(self.audio_limits, max_seconds=self.max_render_seconds)


def load_settings() -> Settings:
    """Read the settings of the environment; raises InvalidSettingsError where one is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        # One that accepts either of several kinds has an error for each.
        lines = dict.fromkeys(_describe(item) for item in error.errors())
        raise InvalidSettingsError("\n".join(lines)) from None


def describe_unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that looks like a setting and is none."""
    known = _OTHER_VARIABLES | {_PREFIX + name.upper() for name in Settings.model_fields}
    return [
        f"{name} is no setting and has no effect{_nearest(name)}"
        for name in sorted(environment)
        if name.upper().startswith(_PREFIX) and name.upper() not in known
    ]


def _nearest(variable: str) -> str:
    name = variable[len(_PREFIX) :].lower()
    near = get_close_matches(name, Settings.model_fields, n=1)
    return f"; did you mean {_PREFIX}{near[0].upper()}?" if near else ", see docs/settings.md"


def _describe(item: ErrorDetails) -> str:
    message = item["msg"].removeprefix("Value error, ")
    if not item["loc"]:  # it is about several
        return message
    name = str(item["loc"][0]).upper()
    variable = name if name.startswith((_PREFIX, "OTEL_")) else _PREFIX + name
    value = item["input"]
    return f"{variable}: {message}" + (f", got {value[:100]!r}" if isinstance(value, str) else "")
