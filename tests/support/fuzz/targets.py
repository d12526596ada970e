"""The fuzz targets: each takes any bytes, and raises where something is not as it should be."""

import struct
from contextlib import suppress
from itertools import pairwise

import numpy as np
from python_multipart.exceptions import MultipartParseError

from app.api.multipart import FilePartParser
from app.audio.stft import WINDOWS, frame_count, power_spectrogram, power_spectrogram_blocks, stft
from app.decoding.errors import AudioError
from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader

_LIMIT = 200
_RATE = 16_000
_MAX_SECONDS = 60.0
_READER = RecordingReader(AudioLimits(max_seconds=_MAX_SECONDS))


def decoder(data: bytes) -> None:
    """A file is sound, or one of our own errors; what it says of itself is what was decoded."""
    try:
        recording = _READER.read(data, sample_rate=_RATE)
    except AudioError:
        return
    assert np.isfinite(recording.samples).all()
    assert recording.samples.dtype == np.float32
    assert 0 < recording.seconds <= _MAX_SECONDS
    assert abs(recording.samples.size - recording.seconds * _RATE) <= 2
    assert recording.metadata.channels >= 1


def multipart(data: bytes) -> None:
    """A body gives the same files wherever it is cut, none of them too large, or is refused.

    It begins with its boundary: what python-multipart makes of a preamble depends on the cuts.
    """
    cuts, body = data[:4], b"--b" + data[4:]
    whole = _parts([body])
    edges = [0, *sorted(cut * len(body) // 256 for cut in cuts), len(body)]
    pieces = [body[start:end] for start, end in pairwise(edges)]
    assert _parts(pieces) == whole


def _parts(chunks: list[bytes]) -> object:
    parts = FilePartParser(b"b", _LIMIT, lambda _count: None, max_parts=1000)
    files = []
    try:
        for chunk in chunks:
            if chunk:
                files += parts.feed(chunk)
    except MultipartParseError:
        return "refused"
    assert all(file.content is None or len(file.content) <= _LIMIT for file in files)
    return (files, parts.fields, parts.over_limit) if parts.is_complete else "refused"


def transform(data: bytes) -> None:
    """Any parameters give a spectrum of the promised shape, or a ValueError."""
    if len(data) < 6:
        return
    n_fft, hop, window, block = struct.unpack_from("<hhBB", data)
    signal = np.frombuffer(data[6 : 6 + (len(data) - 6) // 4 * 4], np.float32)
    options = {"n_fft": n_fft, "hop_length": hop, "window": WINDOWS[window % len(WINDOWS)]}
    is_valid = n_fft >= 2 and n_fft % 2 == 0 and hop >= 1 and signal.size > 0
    with suppress(ValueError), np.errstate(all="ignore"):
        spectrum = stft(signal, **options)
        assert is_valid
        shape = (n_fft // 2 + 1, frame_count(signal.size, hop))
        assert (spectrum.shape, spectrum.dtype) == (shape, np.complex64)
        power = power_spectrogram(signal, **options)
        blocks = power_spectrogram_blocks(signal, **options, block_frames=1 + block)
        joined = np.concatenate(list(blocks), axis=1)
        assert joined.shape == power.shape == shape
        assert not (power < 0).any()
        np.testing.assert_array_equal(joined, power)
        return
    assert not is_valid


def seeds(target: str) -> list[bytes]:
    """Return the inputs that a target begins with."""
    from tests.support.malformed import malformed_files, whole_files  # noqa: PLC0415

    if target == "decoder":
        return [*whole_files().values(), *dict(malformed_files()).values()]
    if target == "multipart":
        head = b'\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        return [
            b"\x10\x40\x80\xc0" + body
            for body in (
                head + b"sound\r\n--b--\r\n",
                head + b"x" * 300 + b"\r\n--b" + head + b"\r\n--b--\r\n",
                b'\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--\r\n',
            )
        ]
    noise = np.random.default_rng(0).standard_normal(300).astype(np.float32).tobytes()
    return [struct.pack("<hhBB", n_fft, 16, 1, 3) + noise for n_fft in (2, 64, 512)]


TARGETS = {"decoder": decoder, "multipart": multipart, "transform": transform}
