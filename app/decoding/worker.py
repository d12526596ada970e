"""`python -m app.decoding.worker`: FFmpeg in a process of its own, one file after the other.

Files come in on stdin, samples go out on stdout; `app.decoding.protocol` says how. It ends when
stdin does, and so with whoever started it, however that ended.
"""

import argparse
import contextlib
import io
import os
import resource
import select
import signal
import traceback

import numpy as np

from app.decoding import protocol as messages
from app.decoding.errors import AudioError, DecoderFailedError
from app.decoding.ffmpeg import open_av

_STDIN, _STDOUT = 0, 1
_READ_BYTES = 1 << 20
_OPEN_FILES = 16


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", type=int, required=True, help="bytes")
    parser.add_argument("--seconds", type=float, required=True, help="of processor time, a file")
    options = parser.parse_args()
    # The service decides when this ends: signals to its whole group or container are not meant.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _confine(options.memory)
    _answer(messages.READY)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _serve(options.seconds)


def _serve(seconds: float) -> None:
    while (kind := os.read(_STDIN, 1)) != b"":
        if kind == messages.STOP:
            _answer(messages.READY)
            continue
        (size,) = messages.REQUEST_SIZE.unpack(_read(messages.REQUEST_SIZE.size))
        _allow_processor_time(seconds)
        # One that does not fit into memory ends the process: what is left of it is no request.
        data = _read(size)
        try:
            _decode(data)
        except (EOFError, BrokenPipeError):
            raise
        except AudioError as error:
            _answer(messages.REFUSED, messages.pack_error(error))
        except MemoryError:  # of Python's own
            _refuse("decoding the file takes more memory than it may")
        except Exception as error:  # whatever it is, it costs this file alone
            # Without its message, which may have something of the file in it.
            traceback.print_tb(error.__traceback__)
            _refuse(f"the decoder cannot cope with the file ({type(error).__name__})")
        finally:
            del data


def _decode(data: bytes) -> None:
    with open_av(data) as source:
        _answer(messages.INFO, messages.pack_info(source.info))
        for block in source.blocks():
            if _is_told_something():  # which can only be to stop
                return
            _answer(messages.BLOCK, np.ascontiguousarray(block, np.float32).view(np.uint8).data)
    _answer(messages.END)


def _refuse(message: str) -> None:
    _answer(messages.REFUSED, messages.pack_error(DecoderFailedError(message)))


def _confine(memory: int) -> None:
    """Bound what a file can make this process do; Linux holds it to all of it."""
    _limit(resource.RLIMIT_DATA, memory)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_NPROC, 0)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _allow_processor_time(seconds: float) -> None:
    """End the process, also if nobody is left to do it, when it works much longer than this."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    until = int(used.ru_utime + used.ru_stime + seconds) + 2
    if hard == resource.RLIM_INFINITY or until < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def _read(size: int) -> bytes:
    """So many bytes of stdin; raises EOFError where it ends before."""
    body = io.BytesIO()
    while body.tell() < size:
        chunk = os.read(_STDIN, min(size - body.tell(), _READ_BYTES))
        if not chunk:
            raise EOFError
        body.write(chunk)
    return body.getvalue()


def _is_told_something() -> bool:
    readable, _, _ = select.select([_STDIN], [], [], 0)
    return bool(readable)


def _answer(kind: bytes, body: bytes | memoryview = b"") -> None:
    head = messages.HEAD.pack(kind, len(body))
    sent = os.writev(_STDOUT, [head, body]) - len(head)
    while sent < len(body):
        sent += os.write(_STDOUT, memoryview(body)[sent:])


if __name__ == "__main__":
    main()
