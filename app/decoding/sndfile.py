"""Decoding with libsndfile: WAV, FLAC, AIFF and Ogg, straight from memory."""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile
from numpy.typing import NDArray

from app.decoding.errors import CorruptAudioError, EmptyAudioError, UnsupportedAudioError
from app.decoding.source import BLOCK_FRAMES, AudioMetadata, require_whole_ogg
from earshot.audio_formats import ACCEPTED_FORMATS

# libsndfile's name of each container that is accepted, and ours.
_FORMATS = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "wav",
    "W64": "w64",
    "FLAC": "flac",
    "AIFF": "aiff",
    "OGG": "ogg",
}
# SF_ERR_UNRECOGNISED_FORMAT and SF_ERR_UNSUPPORTED_ENCODING of sndfile.h.
_UNSUPPORTED = (1, 4)
_INT16_STEP = np.float32(1 / 32_768)
# Programs that write a WAV to a pipe cannot know its length; they leave 0 or a number near
# 2^31 or 2^32 in its place.
_PLACEHOLDER_SIZE = 0x7FFF_0000

_WAV_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_W64_MAGIC, _AIFF_MAGIC = b"riff", b"FORM"
_OGG_CODEC = 28  # offset of the codec's own header in the first page (RFC 3533, section 6)
# Of STREAMINFO, the last 36 bits before the MD5 sum (RFC 9639, section 8.2).
_FLAC_TOTAL_SAMPLES = slice(18, 26)


class _Memory(io.BytesIO):
    """A file in memory that stays where it is when it is sent before its beginning.

    The lengths in a damaged file can send libsndfile there, and it is a callback of C that
    would raise.
    """

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


class SndfileSource:
    """A recording that libsndfile has opened; see `AudioSource`."""

    def __init__(self, file: soundfile.SoundFile) -> None:
        self._file = file
        self.metadata = AudioMetadata(
            sample_rate=file.samplerate,
            channels=file.channels,
            format=_FORMATS[file.format],
            seconds=file.frames / file.samplerate,
        )

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """See `AudioSource.blocks`."""
        decoded = 0
        while True:
            try:
                block = self._read()
            except soundfile.LibsndfileError as error:
                raise CorruptAudioError(
                    f"the {self.metadata.format} file is damaged after "
                    f"{decoded / self.metadata.sample_rate:.2f} s: {error.error_string}"
                ) from error
            if not len(block):
                break
            decoded += len(block)
            yield block
        if decoded < self._file.frames:
            raise CorruptAudioError(
                f"the {self.metadata.format} file is truncated: it declares "
                f"{self.metadata.seconds:.2f} s of sound and holds "
                f"{decoded / self.metadata.sample_rate:.2f} s"
            )

    def _read(self) -> NDArray[np.float32]:
        """Read the next frames as float32, shape `[frames, channels]`; none at the end."""
        if self._file.subtype != "PCM_16":
            block: NDArray[np.float32] = self._file.read(
                BLOCK_FRAMES, dtype="float32", always_2d=True
            )
            return block
        # libsndfile converts a WAV in pieces of 8 KiB, each by a call back into Python. As they
        # are, all samples are read at once, and NumPy makes the same numbers of them.
        pcm: NDArray[np.int16] = self._file.read(BLOCK_FRAMES, dtype="int16", always_2d=True)
        return np.multiply(pcm, _INT16_STEP, dtype=np.float32)


def is_decoded_by_libsndfile(data: bytes) -> bool:
    """Return whether libsndfile decodes a file with these first bytes; otherwise FFmpeg does.

    libsndfile knows MP3 too, but writes what it thinks of a damaged one to stderr, line after
    line, and stops where it guesses that one without a length ends. It cannot read FLAC in Ogg,
    and fails at the end of a FLAC of unknown length, as programs write it to a pipe.
    """
    magic = data[:4]
    if magic == b"OggS":
        return data[_OGG_CODEC:].startswith((b"\x01vorbis", b"OpusHead"))
    if magic == b"fLaC":
        return int.from_bytes(data[_FLAC_TOTAL_SAMPLES]) % (1 << 36) > 0
    if magic in _WAV_MAGIC:
        return data[8:12] == b"WAVE"
    return magic in (_W64_MAGIC, _AIFF_MAGIC)


@contextmanager
def open_sndfile(data: bytes) -> Iterator[SndfileSource]:
    """Open a recording held in memory.

    Raises:
        UnsupportedAudioError: libsndfile does not know the format or codec, or it is not accepted.
        CorruptAudioError: the format is known but the file is damaged, or ends too early.
    """
    if data[:4] == b"OggS":
        require_whole_ogg(data)
    try:
        file = soundfile.SoundFile(_Memory(data))
    except soundfile.LibsndfileError as error:
        if error.code in _UNSUPPORTED:
            raise UnsupportedAudioError(
                f"{error.error_string.rstrip('.')}; send {ACCEPTED_FORMATS}"
            ) from error
        raise CorruptAudioError(
            f"the file is damaged or truncated: {error.error_string}"
        ) from error
    with file:
        if file.format not in _FORMATS:
            raise UnsupportedAudioError(
                f"{file.format_info} is not accepted; send {ACCEPTED_FORMATS}"
            )
        if file.format in ("WAV", "WAVEX"):
            _require_whole_wav(data)
        elif file.format == "AIFF":
            _require_whole_aiff(data)
        if file.frames == 0:
            raise EmptyAudioError("the file is in order but holds no sound (zero samples)")
        yield SndfileSource(file)


def _require_whole_wav(data: bytes) -> None:
    """Compare the size that the `data` chunk declares with what is there.

    libsndfile reads a WAV that was cut off without a word. Chunks: RIFF, Multimedia
    Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991).
    """
    offset = 12
    while offset + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, offset)
        offset += 8
        if name == b"data":
            present = len(data) - offset
            if present < size < _PLACEHOLDER_SIZE:
                raise CorruptAudioError(
                    f"the wav file is truncated: it declares {size} bytes of samples "
                    f"and holds {present}"
                )
            return
        offset += size + size % 2


def _require_whole_aiff(data: bytes) -> None:
    """Compare the size that the `FORM` chunk declares with what is there (AIFF 1.3, 1989)."""
    (size,) = struct.unpack_from(">I", data, 4)
    present = len(data) - 8
    if present < size < _PLACEHOLDER_SIZE:
        raise CorruptAudioError(
            f"the aiff file is truncated: it declares {size} bytes and holds {present}"
        )
