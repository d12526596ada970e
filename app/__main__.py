"""`python -m app`: run the service with the settings of the environment."""

import signal

if hasattr(signal, "SIGHUP"):
    # It would end the process while it imports the rest. There is nothing to reload before the
    # store is read, and then it has a handler.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

import contextlib
import importlib
import logging
import os
import sys

import uvicorn

from app.api.api_keys import ApiKeyError, ApiKeyStore
from app.server.listener import Server
from app.server.signals import exit_now
from app.server.websockets import MAX_MESSAGE_BYTES
from app.server.workers import WorkerSupervisor
from app.settings import InvalidSettingsError, describe_unknown_variables, load_settings
from app.telemetry.logs import log_config

log = logging.getLogger(__name__)


def main() -> None:
    """Read the settings and serve until told to stop."""
    try:
        settings = load_settings()
    except InvalidSettingsError as error:
        sys.exit(str(error))
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
        ws="app.server.websockets:WebSocketConnection",
        # A small message could become a large one.
        ws_per_message_deflate=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        log_config=log_config(settings.log_format, settings.log_level),
        access_log=False,  # it would have queries and addresses
        proxy_headers=False,  # it would believe whoever is on the same machine
        workers=settings.workers,
        timeout_graceful_shutdown=settings.shutdown_timeout_seconds,
        # uvicorn's 5 s would kill workers that are only slow, on a machine with much to do.
        timeout_worker_healthcheck=30,
    )
    for warning in describe_unknown_variables(os.environ):
        log.warning(warning)
    if settings.workers > 1:
        WorkerSupervisor(config, [config.bind_socket()]).run()
        return
    # uvicorn raises SIGTERM again when it is done: then all went well.
    signal.signal(signal.SIGTERM, lambda *_: exit_now())
    server = Server(config)
    with contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again when it is done
        # Of its own, asyncio would listen on IPv6 alone.
        server.run([config.bind_socket()] if settings.host == "::" else None)
    exit_now(0 if server.started else 1)


if __name__ == "__main__":
    main()
