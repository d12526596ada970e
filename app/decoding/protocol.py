"""What the service and a decoder's process say to each other; see `app.decoding.worker`.

A request is `DECODE`, a size and a file of that size, or `STOP`. What is answered is told by its
first byte, followed by a size and so many bytes.
"""

import json
import struct
from dataclasses import asdict

from app.decoding import errors
from app.decoding.source import AudioInfo

DECODE = b"D"
STOP = b"S"
"""give up the file that is being decoded; answered with `READY`, whatever was being done"""

READY = b"R"
INFO = b"I"
BLOCK = b"B"
"""float32 samples"""
END = b"E"
REFUSED = b"X"
"""an `AudioError`; the file is done with"""

REQUEST_SIZE = struct.Struct("<Q")
HEAD = struct.Struct("<cI")
LARGEST = 1 << 24
"""bytes of an answer; more is no answer of ours"""

_ERRORS = {
    kind.__name__: kind
    for kind in (
        errors.CorruptAudioError,
        errors.EmptyAudioError,
        errors.DecoderFailedError,
        errors.UnsupportedAudioError,
    )
}


def pack_info(info: AudioInfo) -> bytes:
    """The body of an `INFO`."""
    return json.dumps(asdict(info)).encode()


def unpack_info(body: bytes | bytearray) -> AudioInfo:
    """What `pack_info` packed; raises ValueError where it is something else."""
    match json.loads(body):
        case {
            "sample_rate": int(sample_rate),
            "channels": int(channels),
            "format": str(format_),
            "seconds": float() | None as seconds,
        } if sample_rate > 0 and channels > 0:
            return AudioInfo(sample_rate, channels, format_, seconds)
    raise ValueError("no facts about a recording")


def pack_error(error: errors.AudioError) -> bytes:
    """The body of a `REFUSED`."""
    return json.dumps([type(error).__name__, str(error)]).encode()


def unpack_error(body: bytes | bytearray) -> errors.AudioError:
    """What `pack_error` packed; raises ValueError where it is something else."""
    match json.loads(body):
        case [str(name), str(message)] if name in _ERRORS:
            return _ERRORS[name](message)
    raise ValueError("no error of a recording")
