"""WAV, W64 and AIFF of uncompressed sound, straight from memory; libsndfile decodes most of it."""

import io
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from app.decoding.chunks import AIFF_MAGIC, WAV_MAGIC, ChunkedAudio
from app.decoding.errors import CorruptAudioError, EmptyAudioError, UnsupportedAudioError
from app.decoding.source import BLOCK_FRAMES, TOLERATED_SECONDS, AudioMetadata
from earshot.audio_formats import ACCEPTED_FORMATS

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# libsndfile's name of each container that is accepted, and ours.
_FORMATS = {"WAV": "wav", "WAVEX": "wav", "RF64": "wav", "W64": "w64", "AIFF": "aiff"}
# SF_ERR_UNRECOGNISED_FORMAT and SF_ERR_UNSUPPORTED_ENCODING of sndfile.h.
_UNSUPPORTED = (1, 4)
_INT16_STEP = np.float32(1 / 32_768)
_PCM = 1
_MAX_CHANNELS = 1024  # libsndfile's, which says what is wrong with more
_W64_MAGIC = b"riff"
# PCM, MS ADPCM, float, A-law, mu-law, IMA ADPCM, GSM 6.10, and G.721 (mmreg.h of Windows).
_WAV_CODECS = (1, 2, 3, 6, 7, 0x11, 0x31, 0x40)
_AIFF_CODECS = (
    *(b"NONE", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"42ni", b"23ni", b"ima4"),
    *(b"fl32", b"FL32", b"fl64", b"FL64", b"ulaw", b"ULAW", b"alaw", b"ALAW"),
)


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


class _PatchedMemory(_Memory):
    """A file in memory that is read as if some of its bytes were others."""

    def __init__(self, data: bytes, patches: Mapping[int, bytes]) -> None:
        super().__init__(data)
        self._patches = {at + i: each for at, new in patches.items() for i, each in enumerate(new)}

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        start = self.tell()
        count = super().readinto(buffer)
        bytes_read = memoryview(buffer).cast("B")
        for place, value in self._patches.items():
            if start <= place < start + count:
                bytes_read[place - start] = value
        return count


class SndfileSource:
    """A recording that libsndfile has opened; see `AudioSource`."""

    warnings: tuple[str, ...] = ()

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
        if self._file.frames - decoded > TOLERATED_SECONDS * self.metadata.sample_rate:
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
        return _scale(pcm)


class PcmSource:
    """A WAV of 16-bit samples, what most clients send, read where it lies; see `AudioSource`.

    libsndfile gives the same numbers, and takes three times as long: it calls back into Python for
    each few bytes of a file in memory.
    """

    warnings: tuple[str, ...] = ()

    def __init__(self, samples: NDArray[np.int16], sample_rate: int) -> None:
        """Read `[frames, channels]`, at least one frame."""
        self.metadata = AudioMetadata(
            sample_rate=sample_rate,
            channels=samples.shape[1],
            format="wav",
            seconds=len(samples) / sample_rate,
        )
        self._samples = samples

    @classmethod
    def of_wav(cls, data: bytes) -> Self | None:
        """Return the recording in a WAV file; None where it is not as plain as that."""
        audio = ChunkedAudio.parse(data)
        if audio is None or audio.codec != _PCM or data[:4] != b"RIFF" or audio.declared is None:
            return None
        formats = [chunk for chunk in audio.chunks if chunk.name == b"fmt "]
        if len(formats) != 1:
            return None
        _, channels, rate, _, block_align, bits = struct.unpack_from(
            "<HHIIHH", data, formats[0].start
        )
        frames = audio.declared // max(1, block_align)
        is_plain = bits == 16 and 1 <= channels <= _MAX_CHANNELS and block_align == 2 * channels
        if not (is_plain and 0 < rate < 2**31 and frames and audio.declared <= audio.present):
            return None
        start = audio.chunks[-1].start
        samples = np.frombuffer(data, "<i2", frames * channels, start)
        return cls(samples.reshape(frames, channels), rate)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """See `AudioSource.blocks`."""
        for start in range(0, len(self._samples), BLOCK_FRAMES):
            yield _scale(self._samples[start : start + BLOCK_FRAMES])


def _scale(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return samples in -1..1."""
    samples = pcm.astype(np.float32)
    samples *= _INT16_STEP
    return samples


def is_decoded_by_libsndfile(data: bytes) -> bool:
    """Return whether libsndfile decodes a file with these first bytes; otherwise FFmpeg does.

    Here it is for what needs no decoder worth the name. Of the rest it knows a part, but reads
    Ogg by sample counts in place of time stamps, the first of concatenated FLAC files alone, and
    writes what it thinks of a damaged MP3 to stderr, line after line.
    """
    audio = ChunkedAudio.parse(data)
    if audio is not None:
        return audio.codec is None or audio.codec in (*_WAV_CODECS, *_AIFF_CODECS)
    if data[:4] in WAV_MAGIC:
        return data[8:12] == b"WAVE"
    return data[:4] in (AIFF_MAGIC, _W64_MAGIC)


@contextmanager
def open_sndfile(data: bytes) -> Iterator[SndfileSource]:
    """Open a recording held in memory.

    Raises:
        UnsupportedAudioError: libsndfile does not know the format or codec, or it is not accepted.
        CorruptAudioError: the format is known but the file is damaged, or ends too early.
        EmptyAudioError: it has no samples.
    """
    audio = ChunkedAudio.parse(data)
    patches = {} if audio is None else audio.patches(data)
    memory = _PatchedMemory(data, patches) if patches else _Memory(data)
    try:
        file = soundfile.SoundFile(memory)
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
        if audio is not None:
            audio.require_whole(_FORMATS[file.format])
        if file.frames == 0:
            raise EmptyAudioError("the file is in order but holds no sound (zero samples)")
        yield SndfileSource(file)
