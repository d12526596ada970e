"""Plain WAV is read as libsndfile reads it, which everything else is left to."""

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.decoding.sndfile import PcmSource, is_decoded_by_libsndfile, open_sndfile
from app.decoding.source import BLOCK_FRAMES


def wav(samples: NDArray[np.int16], rate: int = 8_000, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format="WAV")
    return file.getvalue()


def ramp(frames: int, channels: int = 1) -> NDArray[np.int16]:
    return np.arange(frames * channels, dtype=np.int16).reshape(frames, channels)


def with_chunk(data: bytes, name: bytes, body: bytes) -> bytes:
    """Return a WAV with one more chunk before its samples."""
    at = data.index(b"data")
    chunk = name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return data[:4] + struct.pack("<I", len(data) - 8 + len(chunk)) + data[8:at] + chunk + data[at:]


@given(
    frames=st.integers(1, 400),
    channels=st.integers(1, 8),
    rate=st.integers(1, 192_000),
    seed=st.integers(0, 2**32 - 1),
    note=st.binary(max_size=9),
)
def test_reads_what_libsndfile_reads(
    frames: int, channels: int, rate: int, seed: int, note: bytes
) -> None:
    rng = np.random.default_rng(seed)
    samples = rng.integers(-32_768, 32_768, (frames, channels), np.int16)
    data = with_chunk(wav(samples, rate), b"LIST", note)
    source = PcmSource.of_wav(data + b"tail")
    assert source is not None
    (block,) = source.blocks()
    expected, expected_rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    np.testing.assert_array_equal(block, expected)
    metadata = source.metadata
    assert (metadata.sample_rate, metadata.channels, metadata.format) == (
        expected_rate,
        channels,
        "wav",
    )
    assert metadata.seconds == frames / rate


def test_a_long_recording_comes_in_blocks() -> None:
    samples = ramp(2 * BLOCK_FRAMES + 3)
    source = PcmSource.of_wav(wav(samples))
    assert source is not None
    blocks = list(source.blocks())
    assert [len(block) for block in blocks] == [BLOCK_FRAMES, BLOCK_FRAMES, 3]
    np.testing.assert_array_equal(np.concatenate(blocks), samples / np.float32(32_768))


def test_a_frame_that_was_cut_is_left_out() -> None:
    data = bytearray(wav(ramp(10, 2)))
    at = data.index(b"data")
    data[at + 4 : at + 8] = struct.pack("<I", 39)  # nine frames of 4 bytes, and 3
    source = PcmSource.of_wav(bytes(data))
    assert source is not None
    (block,) = source.blocks()
    np.testing.assert_array_equal(block, ramp(9, 2) / np.float32(32_768))


PLAIN = wav(ramp(10, 2))
FORMAT = PLAIN.index(b"fmt ") + 8
DATA_SIZE = PLAIN.index(b"data") + 4


def patched(at: int, value: bytes) -> bytes:
    return PLAIN[:at] + value + PLAIN[at + len(value) :]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"OggS" + bytes(99), id="another container"),
        pytest.param(wav(ramp(10), subtype="PCM_24"), id="24 bits"),
        pytest.param(wav(ramp(10), subtype="FLOAT"), id="float"),
        pytest.param(wav(ramp(10), subtype="ULAW"), id="mu-law"),
        pytest.param(wav(ramp(0)), id="no frames"),
        pytest.param(PLAIN[:-1], id="cut"),
        pytest.param(patched(DATA_SIZE, bytes(4)), id="of unknown length"),
        pytest.param(patched(DATA_SIZE, b"\xff" * 4), id="of unknown length, streamed"),
        pytest.param(patched(0, b"RIFX"), id="big-endian"),
        pytest.param(patched(FORMAT + 2, bytes(2)), id="no channels"),
        pytest.param(patched(FORMAT + 4, bytes(4)), id="no rate"),
        pytest.param(patched(FORMAT + 12, b"\3\0"), id="odd frames"),
        pytest.param(with_chunk(PLAIN, b"fmt ", PLAIN[FORMAT : FORMAT + 16]), id="two formats"),
    ],
)
def test_leaves_all_else_to_libsndfile(data: bytes) -> None:
    assert PcmSource.of_wav(data) is None


def w64(frames: int, subtype: str) -> bytes:
    """Return a W64 of a ramp, at 8 kHz."""
    file = io.BytesIO()
    samples = np.linspace(-1, 0.99, frames, dtype=np.float32)
    soundfile.write(file, samples, 8_000, subtype=subtype, format="W64")
    return file.getvalue()


def test_libsndfile_gives_blocks_of_samples_in_32_bits() -> None:
    for subtype in ("PCM_16", "PCM_24"):
        data = w64(BLOCK_FRAMES + 5, subtype)
        assert is_decoded_by_libsndfile(data)
        with open_sndfile(data) as source:
            assert source.metadata.format == "w64"
            assert source.metadata.seconds == (BLOCK_FRAMES + 5) / 8_000
            blocks = list(source.blocks())
        assert [block.shape for block in blocks] == [(BLOCK_FRAMES, 1), (5, 1)]
        assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
        expected = np.linspace(-1, 0.99, BLOCK_FRAMES + 5)[:, None]
        np.testing.assert_allclose(np.concatenate(blocks), expected, atol=2**-15)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"riff" + bytes(20), True),
        (b"FORM" + bytes(20), True),
        (b"RIFF" + bytes(4) + b"WAVE", True),
        (b"RIFF" + bytes(4) + b"AVI ", False),
        (b"OggS" + bytes(20), False),
    ],
)
def test_what_libsndfile_decodes_is_told_by_its_first_bytes(data: bytes, expected: bool) -> None:
    assert is_decoded_by_libsndfile(data) == expected


def test_a_wav_of_more_channels_than_libsndfile_knows_is_left_to_it() -> None:
    many = struct.pack("<HHIIHH", 1, 1_024, 8_000, 16_384_000, 2_048, 16)
    data = PLAIN[:FORMAT] + many + PLAIN[FORMAT + 16 : DATA_SIZE] + struct.pack("<I", 2_048)
    source = PcmSource.of_wav(data + bytes(2_048))
    assert source is not None
    assert source.metadata.channels == 1_024
    more = struct.pack("<HHIIHH", 1, 1_025, 8_000, 16_400_000, 2_050, 16)
    data = PLAIN[:FORMAT] + more + PLAIN[FORMAT + 16 : DATA_SIZE] + struct.pack("<I", 2_050)
    assert PcmSource.of_wav(data + bytes(2_050)) is None
