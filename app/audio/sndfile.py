"""Decoding with libsndfile: WAV, FLAC, AIFF, Ogg and MP3, straight from memory."""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile
from numpy.typing import NDArray

from app.audio.errors import CorruptAudioError, EmptyAudioError, UnsupportedAudioError
from app.audio.formats import ACCEPTED_FORMATS
from app.audio.source import BLOCK_FRAMES, AudioInfo

# libsndfile's name of each container that is accepted, and ours.
_FORMATS = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "wav",
    "W64": "w64",
    "FLAC": "flac",
    "AIFF": "aiff",
    "OGG": "ogg",
    "MP3": "mp3",
}
# SF_ERR_UNRECOGNISED_FORMAT and SF_ERR_UNSUPPORTED_ENCODING of sndfile.h.
_NOT_OURS = (1, 4)
# What libsndfile says of a FLAC that was written to a pipe: its length is not known.
_UNKNOWN_FRAMES = 0x7FFF_FFFF_FFFF_FFFF
_OGG_CODEC = slice(28, 33)  # the first bytes after the header of the first page
_LONGEST_MP3_FRAME = 1441  # bytes: layer III, 320 kbit/s at 32 kHz
# Programs that write a WAV to a pipe cannot know its length; they leave 0 or a number near
# 2^31 or 2^32 in its place.
_PLACEHOLDER_SIZE = 0x7FFF_0000


class SoundFileSource:
    """A recording that libsndfile has opened; see `AudioSource`."""

    def __init__(self, file: soundfile.SoundFile) -> None:
        self._file = file
        self.info = AudioInfo(
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
                block = self._file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise CorruptAudioError(
                    f"the {self.info.format} file is damaged after "
                    f"{decoded / self.info.sample_rate:.2f} s: {error.error_string}"
                ) from error
            if not len(block):
                break
            decoded += len(block)
            yield block
        if decoded < self._file.frames:
            raise CorruptAudioError(
                f"the {self.info.format} file is truncated: it declares "
                f"{self.info.seconds:.2f} s of sound and holds "
                f"{decoded / self.info.sample_rate:.2f} s"
            )


@contextmanager
def open_sndfile(data: bytes) -> Iterator[SoundFileSource]:
    """Open a recording held in memory.

    Raises:
        UnsupportedAudioError: libsndfile does not know the format, or it is not accepted.
        CorruptAudioError: the format is known but the file is damaged, or ends too early.
    """
    if data[:4] == b"OggS":
        _refuse_cut_ogg(data)
    try:
        file = soundfile.SoundFile(io.BytesIO(data))
    except soundfile.LibsndfileError as error:
        if error.code in _NOT_OURS or data[_OGG_CODEC] == b"\x7fFLAC":
            raise UnsupportedAudioError(error.error_string) from error
        raise CorruptAudioError(
            f"the file is damaged or truncated: {error.error_string}"
        ) from error
    with file:
        if file.format not in _FORMATS:
            raise UnsupportedAudioError(
                f"{file.format_info} is not accepted; send {ACCEPTED_FORMATS}"
            )
        if _is_read_badly(file, data):
            raise UnsupportedAudioError(f"{file.format_info} is left to another decoder")
        if file.format in ("WAV", "WAVEX"):
            _refuse_cut_wav(data)
        elif file.format == "AIFF":
            _refuse_cut_aiff(data)
        if file.frames == 0:
            raise EmptyAudioError("the file is in order but holds no sound (zero samples)")
        yield SoundFileSource(file)


def _is_read_badly(file: soundfile.SoundFile, data: bytes) -> bool:
    """Whether libsndfile opens the file but would not read it to its end.

    It guesses the length of an MP3 that has no Xing or Info frame, and stops there; and it
    fails at the end of a FLAC of unknown length.
    """
    if file.format == "FLAC":
        return bool(file.frames == _UNKNOWN_FRAMES)
    if file.format == "MP3":
        start = _id3_size(data)
        first_frame = bytes(data[start : start + _LONGEST_MP3_FRAME])
        return b"Xing" not in first_frame and b"Info" not in first_frame
    return False


def _id3_size(data: bytes) -> int:
    """Bytes of the ID3v2 tag in front (id3.org, ID3v2.4.0: four times seven bits, and a header)."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return size + 10


def _refuse_cut_wav(data: bytes) -> None:
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


def _refuse_cut_aiff(data: bytes) -> None:
    """Compare the size that the `FORM` chunk declares with what is there (AIFF 1.3, 1989)."""
    (size,) = struct.unpack_from(">I", data, 4)
    present = len(data) - 8
    if present < size < _PLACEHOLDER_SIZE:
        raise CorruptAudioError(
            f"the aiff file is truncated: it declares {size} bytes and holds {present}"
        )


def _refuse_cut_ogg(data: bytes) -> None:
    """Check that the last page is whole (RFC 3533, section 6: header, segment table, body)."""
    page = data.rfind(b"OggS")
    table = page + 27
    segments = data[table - 1] if table <= len(data) else 0
    end = table + segments + sum(data[table : table + segments])
    if end > len(data):
        raise CorruptAudioError("the ogg file is truncated: its last page is not whole")
