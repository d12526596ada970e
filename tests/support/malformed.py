"""Files that are no longer what they were: every accepted format, broken in every way we know.

The same ones each time, and none of them is kept in the repository.
"""

import io
from collections.abc import Callable, Iterator

import av
import numpy as np
from numpy.typing import NDArray

from tests.support.encoders import encode_av
from tests.support.sounds import RATE, encode, make

Break = Callable[[bytes, np.random.Generator], bytes]

_SECONDS = 0.6
_HEAD = 160  # bytes: where most of what a decoder believes is written


def whole_files() -> dict[str, bytes]:
    """A short recording in every format that is accepted."""
    mono = make("siren", 1, _SECONDS)
    stereo = np.stack([mono, make("car_horn", 1, _SECONDS)], axis=1)
    return {
        "wav": encode(stereo),
        "wav float": _without_time(encode(stereo, RATE, "WAV", "FLOAT")),
        "wav adpcm": encode(mono, RATE, "WAV", "IMA_ADPCM"),
        "rf64": encode(stereo, RATE, "RF64", "PCM_16"),
        "w64": encode(stereo, RATE, "W64", "PCM_16"),
        "flac": encode(stereo, RATE, "FLAC"),
        "aiff": encode(stereo, RATE, "AIFF"),
        "ogg vorbis": _marked_alike(encode(stereo, RATE, "OGG", "VORBIS")),
        "ogg opus": _encode(stereo, 48_000, "ogg", "libopus"),
        "ogg flac": _encode(stereo, RATE, "ogg", "flac"),
        "mp3": encode(stereo, RATE, "MP3"),
        "mp3 without a length": _encode(stereo, RATE, "mp3", "libmp3lame", write_xing="0"),
        "m4a": _encode(stereo, RATE, "ipod", "aac"),
        "m4a alac": _encode(stereo, RATE, "ipod", "alac"),
        "mp4": _encode(stereo, RATE, "mp4", "aac"),
        "mov": _encode(stereo, RATE, "mov", "aac"),
        "mp4 fragmented": _encode(stereo, RATE, "mp4", "aac", movflags="frag_keyframe+empty_moov"),
        "aac": _encode(stereo, RATE, "adts", "aac"),
        "webm": _encode(stereo, 48_000, "webm", "libopus"),
        "matroska": _encode(stereo, RATE, "matroska", "flac"),
    }


def malformed_files(seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield more than a thousand broken files, each with what it is."""
    files = whole_files()
    for number, (name, data) in enumerate(files.items()):
        rng = np.random.default_rng([seed, number])
        other = list(files.values())[(number + 7) % len(files)]
        for size in (1, 4, 12, 20, 32, 48, 64, 128):
            yield f"{name}, {size} bytes", data[:size]
        for share in rng.uniform(0.02, 0.97, 12):
            yield f"{name}, cut at {share:.3f}", data[: int(share * len(data))]
        for way, break_ in _WAYS.items():
            for which in range(4):
                yield f"{name}, {way} {which}", break_(data, rng)
        yield f"{name} after the magic of another", other[:16] + data[16:]
        yield f"{name} and another, spliced", data[: len(data) // 2] + other[len(other) // 2 :]
        yield f"{name} in another", other[: len(other) // 3] + data + other[len(other) // 3 :]
        yield f"{name}, without its head", data[64:]
        yield f"{name}, backwards", data[::-1]


def _encode(
    samples: NDArray[np.float32], rate: int, container: str, codec: str, **more: str
) -> bytes:
    """Without the random numbers and the times that files are marked with."""
    return encode_av(samples, rate, container, codec, {"fflags": "+bitexact", **more}, pts=0)


def _without_time(wav: bytes) -> bytes:
    """Its `PEAK` chunk says when it was measured: name, size, version, time."""
    time = wav.index(b"PEAK") + 12
    return wav[:time] + bytes(4) + wav[time + 4 :]


def _marked_alike(ogg: bytes) -> bytes:
    """The same packets in pages that always have the same serial number."""
    file = io.BytesIO()
    with (
        av.open(io.BytesIO(ogg)) as source,
        av.open(file, "w", format="ogg", options={"fflags": "+bitexact"}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux():
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    return file.getvalue()


def _bits(data: bytes, rng: np.random.Generator, among: int, count: int) -> bytes:
    broken = np.frombuffer(data, np.uint8).copy()
    places = rng.integers(min(among, broken.size), size=count)
    broken[places] ^= (1 << rng.integers(8, size=count)).astype(np.uint8)
    return broken.tobytes()


def _bits_of_the_head(data: bytes, rng: np.random.Generator) -> bytes:
    return _bits(data, rng, _HEAD, 6)


def _bits_of_the_tail(data: bytes, rng: np.random.Generator) -> bytes:
    """Where MP4 has its tables, and Ogg its last page."""
    return data[:-1000] + _bits(data[-1000:], rng, 1000, 8)


def _bits_anywhere(data: bytes, rng: np.random.Generator) -> bytes:
    return _bits(data, rng, len(data), 1 + len(data) // 200)


def _a_wrong_size(data: bytes, rng: np.random.Generator) -> bytes:
    """A number of 32 bits in the head, as large as it can be, or 0, or anything."""
    place = 4 * int(rng.integers(1, _HEAD // 4))
    numbers = (b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", bytes(4), rng.bytes(4))
    return data[:place] + numbers[rng.integers(len(numbers))] + data[place + 4 :]


def _a_hole(data: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(4, _HEAD))
    return data[:place] + bytes(24) + data[place + 24 :]


def _a_piece_missing(data: bytes, rng: np.random.Generator) -> bytes:
    place, size = int(rng.integers(8, _HEAD)), int(rng.integers(1, len(data) // 2))
    return data[:place] + data[place + size :]


def _a_piece_twice(data: bytes, rng: np.random.Generator) -> bytes:
    place, size = int(rng.integers(8, _HEAD)), int(rng.integers(8, 200))
    return data[: place + size] + data[place:]


def _noise_after_the_head(data: bytes, rng: np.random.Generator) -> bytes:
    kept = int(rng.integers(16, _HEAD))
    return data[:kept] + rng.bytes(len(data) - kept)


def _pieces_in_disorder(data: bytes, rng: np.random.Generator) -> bytes:
    pieces = [data[start : start + 96] for start in range(16, len(data), 96)]
    return data[:16] + b"".join(pieces[i] for i in rng.permutation(len(pieces)))


_WAYS: dict[str, Break] = {
    "bits of the head": _bits_of_the_head,
    "bits of the tail": _bits_of_the_tail,
    "bits anywhere": _bits_anywhere,
    "a wrong size": _a_wrong_size,
    "a hole": _a_hole,
    "a piece missing": _a_piece_missing,
    "a piece twice": _a_piece_twice,
    "noise after the head": _noise_after_the_head,
    "pieces in disorder": _pieces_in_disorder,
}
