"""Handle SIGTERM and SIGHUP while the process serves."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


_LAST_SECONDS = 0.9
"""after the last wait, for the application to end"""


def exit_now(code: int = 0) -> None:
    """End the process without waiting for threads, whose work nobody waits for any more."""
    logging.shutdown()
    os._exit(code)


@contextmanager
def handle_signals(
    *,
    drain: Callable[[], None],
    drain_seconds: float,
    shutdown_seconds: float,
    reload: Callable[[], None],
) -> Iterator[None]:
    """Handle signals on the running event loop, for as long as the context lasts.

    SIGTERM calls `drain`, and `drain_seconds` later the server's own handler, which closes the
    listener and waits up to `shutdown_seconds` for the requests that are left. Should the process
    not have ended then, whatever it hangs on, it is ended. More of them change nothing: a service
    manager may send one to each process, and so does the parent of several workers. SIGHUP
    calls `reload`. SIGINT is left to the server.

    Outside the main thread, where Python handles no signals, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    servers_own = signal.getsignal(signal.SIGTERM)
    draining = False

    def stop() -> None:
        if callable(servers_own):
            servers_own(signal.SIGTERM, None)
        else:
            signal.signal(signal.SIGTERM, servers_own)
            signal.raise_signal(signal.SIGTERM)

    def terminate() -> None:
        nonlocal draining
        if draining:
            return
        draining = True
        log.info("draining: not ready any more, closing in %g s", drain_seconds)
        drain()
        loop.call_later(drain_seconds, stop)
        last = threading.Timer(drain_seconds + shutdown_seconds + _LAST_SECONDS, exit_now)
        last.daemon = True
        last.start()

    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, servers_own)
