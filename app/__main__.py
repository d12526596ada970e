"""`python -m app`: run the service with the settings of the environment."""

import contextlib
import importlib
import logging
import signal
import sys

import uvicorn
from pydantic import ValidationError

from app.api.api_keys import ApiKeyError, ApiKeyStore
from app.server.workers import WorkerSupervisor
from app.settings import Settings
from app.telemetry.logs import log_config


def main() -> None:
    """Read the settings and serve until told to stop."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit(f"EARSHOT_* settings: {error}")
    if settings.api_keys_file is not None:
        try:
            ApiKeyStore(settings.api_keys_file)
        except ApiKeyError as error:
            sys.exit(f"EARSHOT_API_KEYS_FILE: {error}")
    if settings.otlp_endpoint:
        try:
            importlib.import_module("app.telemetry.tracing")
        except ImportError as error:
            sys.exit(str(error))
    logging.captureWarnings(True)
    config = uvicorn.Config(
        "app.main:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        http="app.server.connections:Connection",
        log_config=log_config(settings.log_format, settings.log_level),
        access_log=False,  # it would have queries and addresses
        workers=settings.workers,
        timeout_graceful_shutdown=settings.shutdown_timeout_seconds,
        # uvicorn's 5 s would kill workers that are only slow, on a machine with much to do.
        timeout_worker_healthcheck=30,
    )
    if settings.workers > 1:
        WorkerSupervisor(config, [config.bind_socket()]).run()
        return
    # uvicorn raises SIGTERM again when it is done: then all went well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again when it is done
        server.run()
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
