"""`python -m app.decoding.worker`: decode one file after the other with FFmpeg, in a process alone.

Files come in on stdin, samples go out on stdout; `app.decoding.protocol` says how. The process
ends when stdin does, and so with the service, however that ended.
"""

import argparse
import contextlib
import ctypes
import io
import os
import resource
import select
import signal
import sys
import traceback

# PyAV loads these with the first file that has such a stream; then no file can be opened.
import av.audio.stream
import av.subtitles.stream
import av.video.stream  # noqa: F401

from app.decoding import protocol, sandbox
from app.decoding.errors import AudioError, DecoderFailedError
from app.decoding.ffmpeg import open_ffmpeg

_STDIN, _STDOUT = 0, 1
_READ_BYTES = 1 << 20
_OPEN_FILES = 16
# The event loop and the networks come first: many large files must not keep probes waiting.
_NICE = 5
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", type=int, required=True, help="bytes")
    parser.add_argument("--seconds", type=float, required=True, help="of processor time, a file")
    options = parser.parse_args()
    # The service decides when this ends: signals to its whole group or container are not meant.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _limit_process(options.memory)
    os.nice(_NICE)
    try:
        sandbox.confine()
    except OSError as error:
        sys.stderr.write(f"a decoder keeps all system calls: the kernel refuses seccomp: {error}\n")
    _send(protocol.READY)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _serve(options.seconds)


def _serve(seconds: float) -> None:
    while (kind := os.read(_STDIN, 1)) != b"":
        if kind == protocol.STOP:
            _send(protocol.READY)
            continue
        (size,) = protocol.REQUEST_SIZE.unpack(_read(protocol.REQUEST_SIZE.size))
        _limit_cpu_seconds(seconds)
        # One that does not fit into memory ends the process: what is left of it is no request.
        data = _read(size)
        try:
            _decode(data)
        except (EOFError, BrokenPipeError):
            raise
        except AudioError as error:
            _send(protocol.ERROR, protocol.pack_error(error))
        except MemoryError:  # of Python's own
            _send_failure("decoding the file takes more memory than it may")
        except Exception as error:  # whatever it is, it costs this file alone
            # Without its message, which may have something of the file in it.
            traceback.print_tb(error.__traceback__)
            _send_failure(f"the decoder cannot cope with the file ({type(error).__name__})")
        finally:
            del data
            if _trim is not None:
                _trim(0)  # what was freed goes back to the system: this process lasts


def _decode(data: bytes) -> None:
    with open_ffmpeg(data) as source:
        _send(protocol.METADATA, protocol.pack_metadata(source.metadata))
        for block in source.blocks():
            if _has_message():  # which can only be to stop
                return
            _send(protocol.BLOCK, *protocol.pack_block(block))
        warnings = source.warnings
    _send(protocol.END, protocol.pack_warnings(warnings))


def _send_failure(message: str) -> None:
    _send(protocol.ERROR, protocol.pack_error(DecoderFailedError(message)))


def _limit_process(memory: int) -> None:
    """Limit what a file can make this process do; Linux enforces all of it."""
    _limit(resource.RLIMIT_DATA, memory)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_NPROC, 0)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _limit_cpu_seconds(seconds: float) -> None:
    """Have the kernel end the process when it works much longer than this on a file."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    until = int(used.ru_utime + used.ru_stime + seconds) + 2
    if hard == resource.RLIM_INFINITY or until < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def _read(size: int) -> bytes:
    """Read so many bytes of stdin; raises EOFError where it ends before."""
    body = io.BytesIO()
    while body.tell() < size:
        chunk = os.read(_STDIN, min(size - body.tell(), _READ_BYTES))
        if not chunk:
            raise EOFError
        body.write(chunk)
    return body.getvalue()


def _has_message() -> bool:
    readable, _, _ = select.select([_STDIN], [], [], 0)
    return bool(readable)


def _send(kind: bytes, *body: bytes | memoryview) -> None:
    parts = [protocol.HEAD.pack(kind, sum(map(len, body))), *body]
    while parts:
        sent = os.writev(_STDOUT, parts)
        while parts and sent >= len(parts[0]):
            sent -= len(parts.pop(0))
        if parts:
            parts[0] = memoryview(parts[0])[sent:]


if __name__ == "__main__":
    main()
