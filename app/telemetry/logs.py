"""One line of log for each event: JSON for machines, or text for people at a terminal."""

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from app.settings import LogFormat

request_ids: ContextVar[Mapping[str, str] | None] = ContextVar("request_ids", default=None)
"""the fields that every line has which is written for a request"""


def log_config(log_format: LogFormat, level: str) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`: all to stderr, in one format.

    Args:
        log_format: of the lines.
        level: in lower case; other packages than this and uvicorn log from `warning` on.
    """
    formatter = JsonFormatter if log_format == "json" else TextFormatter
    # At debug, uvicorn would log queries, headers and what clients send.
    uvicorn_level = "info" if level == "debug" else level
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter}},
        "filters": {"quiet": {"()": _WithoutQueries}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["quiet"],
            }
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "app": {"level": level.upper()},
            "uvicorn": {"level": uvicorn_level.upper()},
        },
    }


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with its fields as one line of JSON; see `docs/operations.md`."""
        entry = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, message and `name=value` for each field."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record in a line, and the stack of its exception below."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname:8} {record.getMessage()}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _WithoutQueries(logging.Filter):
    """Holds back uvicorn's own line of a WebSocket: it has the client's address and query."""

    def filter(self, record: logging.LogRecord) -> bool:
        return '"WebSocket %s"' not in str(record.msg)


def _time(record: logging.LogRecord) -> str:
    """Return the time of a record by RFC 3339, UTC."""
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of `extra={"fields": ...}`, then the ids of the request."""
    return {**getattr(record, "fields", {}), **(request_ids.get() or {})}
