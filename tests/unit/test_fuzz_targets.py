"""The fuzzer's targets on what it begins with, and on what hypothesis thinks of."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzz.targets import TARGETS, decoder, multipart, seeds, transform


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_holds_for_its_seeds(target: str) -> None:
    found = seeds(target)
    assert len(found) >= 3
    for seed in found:
        TARGETS[target](seed)


@given(st.sampled_from([b"RIFF", b"fLaC", b"OggS", b"\0\0\0\x20ftyp", b"ID3", b""]), st.binary())
def test_any_bytes_are_sound_or_an_error_of_ours(magic: bytes, rest: bytes) -> None:
    decoder(magic + rest)


@given(
    st.binary(min_size=4, max_size=4),
    st.lists(
        st.sampled_from([b"\r\n", b"--b", b"--", b'content-disposition: form-data; name="file"'])
        | st.binary(max_size=40)
    ),
)
def test_any_body_gives_the_same_wherever_it_is_cut(cuts: bytes, pieces: list[bytes]) -> None:
    multipart(cuts + b"".join(pieces))


@given(
    st.integers(-2, 300),
    st.integers(-2, 300),
    st.integers(0, 2),
    st.integers(0, 5),
    st.lists(st.floats(-1, 1, width=32), max_size=200),
)
def test_any_parameters_give_a_spectrum_or_a_value_error(
    n_fft: int, hop: int, window: int, block: int, signal: list[float]
) -> None:
    samples = struct.pack(f"<{len(signal)}f", *signal)
    transform(struct.pack("<hhBB", n_fft, hop, window, block) + samples)
