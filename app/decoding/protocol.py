"""The messages between the service and a decoder process; see `app.decoding.worker`.

A request is `DECODE`, a size and a file of that size, or `STOP`. A reply is its kind in one byte,
a size and a body of that size.
"""

import json
import struct
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from app.decoding.errors import AudioError
from app.decoding.source import AudioMetadata

DECODE = b"D"
STOP = b"S"
"""abandon the file that is being decoded; replied to with `READY` in any case"""

READY = b"R"
METADATA = b"M"
BLOCK = b"B"
"""how many channels, and float32 samples, one channel after the other"""
END = b"E"
"""the warnings"""
ERROR = b"X"
"""an `AudioError`; the file is done with"""

REQUEST_SIZE = struct.Struct("<Q")
HEAD = struct.Struct("<cI")
_CHANNELS = struct.Struct("<I")
MAX_BODY_BYTES = 1 << 24
"""of a reply; a larger one is not by our worker"""

_ERRORS = {kind.__name__: kind for kind in AudioError.__subclasses__()}


def pack_metadata(metadata: AudioMetadata) -> bytes:
    """Pack the body of a `METADATA`."""
    return json.dumps(asdict(metadata)).encode()


def unpack_metadata(body: bytes | bytearray) -> AudioMetadata:
    """Unpack the result of `pack_metadata`; raises ValueError where it is something else."""
    match json.loads(body):
        case {
            "sample_rate": int(sample_rate),
            "channels": int(channels),
            "format": str(format_),
            "seconds": float() | None as seconds,
            "track": int() | None as track,
        } if sample_rate > 0 and channels > 0:
            return AudioMetadata(sample_rate, channels, format_, seconds, track)
    raise ValueError("no metadata of a recording")


def pack_block(block: NDArray[np.float32]) -> tuple[bytes, memoryview]:
    """Pack the body of a `BLOCK` of shape `[frames, channels]`, in parts."""
    planar = np.ascontiguousarray(block.T, np.float32)
    return _CHANNELS.pack(len(planar)), planar.reshape(-1).view(np.uint8).data


def unpack_block(body: bytes | bytearray) -> NDArray[np.float32]:
    """Unpack the result of `pack_block`; raises ValueError where it is something else."""
    if len(body) <= _CHANNELS.size:
        raise ValueError("no samples of a recording")
    (channels,) = _CHANNELS.unpack_from(body)
    samples: NDArray[np.float32] = np.frombuffer(body, np.float32, offset=_CHANNELS.size)
    return samples.reshape(channels, -1).T


def pack_warnings(warnings: tuple[str, ...]) -> bytes:
    """Pack the body of an `END`."""
    return json.dumps(warnings).encode()


def unpack_warnings(body: bytes | bytearray) -> tuple[str, ...]:
    """Unpack the result of `pack_warnings`; raises ValueError where it is something else."""
    warnings = json.loads(body)
    if not isinstance(warnings, list) or not all(isinstance(each, str) for each in warnings):
        raise ValueError("no warnings")
    return tuple(warnings)


def pack_error(error: AudioError) -> bytes:
    """Pack the body of an `ERROR`."""
    return json.dumps([type(error).__name__, str(error)]).encode()


def unpack_error(body: bytes | bytearray) -> AudioError:
    """Unpack the result of `pack_error`; raises ValueError where it is something else."""
    match json.loads(body):
        case [str(name), str(message)] if name in _ERRORS:
            return _ERRORS[name](message)
    raise ValueError("no error of a recording")
