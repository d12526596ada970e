"""WAV and AIFF as chunks, of files that are written byte by byte."""

import struct

import pytest

from app.decoding.chunks import ChunkedAudio
from app.decoding.errors import CorruptAudioError


def chunk(name: bytes, body: bytes, size: int | None = None, order: str = "<") -> bytes:
    """Return a chunk, which says that its body has `size` bytes."""
    length = len(body) if size is None else size
    return name + struct.pack(order + "I", length) + body + b"\0" * (len(body) % 2)


def wav_format(
    tag: int = 1, channels: int = 2, rate: int = 8_000, bits: int = 16, order: str = "<"
) -> bytes:
    align = channels * bits // 8
    return struct.pack(order + "HHIIHH", tag, channels, rate, rate * align, align, bits)


def wav(*chunks: bytes, magic: bytes = b"RIFF", order: str = "<") -> bytes:
    body = b"".join(chunks)
    return magic + struct.pack(order + "I", len(body) + 4) + b"WAVE" + body


def extended(rate: int) -> bytes:
    """Return a rate as AIFF has it: 80 bits, as the 68881 had them."""
    exponent = rate.bit_length() - 1
    return struct.pack(">HQ", 16_383 + exponent, rate << (63 - exponent))


def common(
    channels: int = 2, bits: int = 16, rate: int = 8_000, codec: bytes = b"", frames: int = 5
) -> bytes:
    return chunk(
        b"COMM", struct.pack(">hIh", channels, frames, bits) + extended(rate) + codec, order=">"
    )


def sound(body: bytes, size: int | None = None) -> bytes:
    return chunk(b"SSND", bytes(8) + body, None if size is None else 8 + size, order=">")


def aiff(*chunks: bytes, kind: bytes = b"AIFF") -> bytes:
    body = b"".join(chunks)
    return b"FORM" + struct.pack(">I", len(body) + 4) + kind + body


def parsed(data: bytes) -> ChunkedAudio:
    audio = ChunkedAudio.parse(data)
    assert audio is not None
    return audio


SAMPLES = bytes(range(20))


def test_a_wav() -> None:
    audio = parsed(wav(chunk(b"fmt ", wav_format()), chunk(b"data", SAMPLES)))
    assert (audio.codec, audio.order, audio.bytes_per_second) == (1, "<", 32_000)
    assert [(each.name, each.start, each.size) for each in audio.chunks] == [
        (b"fmt ", 20, 16),
        (b"data", 44, 20),
    ]
    assert (audio.declared, audio.present, audio.length) == (20, 20, 64)
    assert audio.patches(b"RIFF") == {}


def test_chunks_of_odd_sizes_are_padded() -> None:
    note = chunk(b"note", b"abc")
    audio = parsed(wav(note, chunk(b"fmt ", wav_format(3, 1, 22_050, 32)), chunk(b"data", b"")))
    assert (audio.codec, audio.bytes_per_second) == (3, 88_200)
    assert [each.start for each in audio.chunks] == [20, 32, 56]


def test_the_codec_of_an_extensible_wav_is_within() -> None:
    of_float = wav_format(0xFFFE, 1, 8_000, 32) + struct.pack("<HHIH", 22, 32, 4, 3) + bytes(14)
    assert parsed(wav(chunk(b"fmt ", of_float), chunk(b"data", SAMPLES))).codec == 3
    cut = wav_format(0xFFFE)
    assert parsed(wav(chunk(b"fmt ", cut), chunk(b"data", SAMPLES))).codec == 0xFFFE


def test_a_big_endian_wav() -> None:
    data = wav(
        chunk(b"fmt ", wav_format(order=">"), order=">"),
        chunk(b"data", SAMPLES, order=">"),
        magic=b"RIFX",
        order=">",
    )
    audio = parsed(data)
    assert (audio.codec, audio.order, audio.bytes_per_second, audio.declared) == (
        *(1, ">", 32_000, 20),
    )


def test_an_rf64_has_its_size_in_64_bits() -> None:
    sizes = chunk(b"ds64", struct.pack("<QQQI", 100, 12, 3, 0))
    for declared, expected in ((0xFFFF_FFFF, 12), (16, 16)):
        data = wav(
            sizes,
            chunk(b"fmt ", wav_format()),
            chunk(b"data", SAMPLES, declared),
            magic=b"RF64",
        )
        audio = parsed(data)
        assert audio.declared == expected
        at = audio.chunks[-1].start - 4
        assert audio.patches(data) == {
            0: b"RIFF" + struct.pack("<I", len(data) - 8),
            at: struct.pack("<I", expected),
        }


@pytest.mark.parametrize(
    ("size", "behind", "declared"),
    [
        (0xFFFF_FFFF, b"", None),
        (0x7FFF_0000, b"", None),
        (0x7FFE_FFFF, b"", 0x7FFE_FFFF),
        (0, b"", 0),
        (0, chunk(b"LIST", b"tag"), 0),
        (0, chunk(b"LIST", b"tag")[:-1], 0),
        (0, chunk(b"LIST", b"tag")[:-2], None),
        (0, SAMPLES, None),
        (0, chunk(b"LIST", b"tag") + SAMPLES, None),
        (0, chunk(b"LI\x1fT", b"tag!"), None),
        (0, chunk(b"LI\x7fT", b"tag!"), None),
        (0, chunk(b"LI T", b"tag!"), 0),
        (0, chunk(b"LI~T", b"tag!"), 0),
    ],
)
def test_a_size_that_is_none(size: int, behind: bytes, declared: int | None) -> None:
    """Programs that write to a pipe leave it; an empty recording may have tags behind it."""
    header = wav(chunk(b"fmt ", wav_format()), chunk(b"data", b"", size))
    assert parsed(header + behind).declared == declared


def test_a_wav_of_unknown_size_is_patched_to_what_is_there() -> None:
    data = wav(chunk(b"fmt ", wav_format()), chunk(b"data", SAMPLES, 0xFFFF_FFFF))
    assert parsed(data).patches(data) == {
        0: b"RIFF" + struct.pack("<I", 56),
        40: struct.pack("<I", 20),
    }


@pytest.mark.parametrize(("kind", "codec"), [(b"AIFF", b""), (b"AIFC", b"ulaw")])
def test_an_aiff(kind: bytes, codec: bytes) -> None:
    bits = 12  # kept in 16
    data = aiff(common(3, bits, 44_100, codec), sound(SAMPLES), kind=kind)
    audio = parsed(data)
    assert audio.codec == (codec or b"NONE")
    assert (audio.order, audio.bytes_per_second) == (">", 44_100 * 3 * 2)
    assert (audio.declared, audio.present) == (28, 28)
    assert [each.name for each in audio.chunks] == [b"COMM", b"SSND"]
    assert audio.patches(data) == {}


def test_an_aiff_of_unknown_size_is_patched_to_what_is_there() -> None:
    data = aiff(common(2, 16, codec=b"sowt"), sound(SAMPLES, 0), kind=b"AIFC")
    audio = parsed(data)
    assert audio.declared is None
    start = audio.chunks[-1].start
    assert audio.patches(data) == {
        0: b"FORM" + struct.pack(">I", len(data) - 8),
        start - 4: struct.pack(">I", 28),
        audio.chunks[0].start + 2: struct.pack(">I", 5),
    }
    empty = aiff(common(), sound(b"", 0), chunk(b"NAME", b"none", order=">"))
    assert parsed(empty).declared == 8


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF" + bytes(4) + b"AVI " + chunk(b"data", SAMPLES),
        wav(),
        wav(chunk(b"fmt ", wav_format())),
        wav(chunk(b"fmt ", wav_format()))[:-20],
        aiff(common()),
        aiff(common(), sound(SAMPLES), kind=b"8SVX"),
    ],
)
def test_what_is_neither_or_has_no_samples(data: bytes) -> None:
    assert ChunkedAudio.parse(data) is None


def test_a_file_may_miss_a_tenth_of_a_second() -> None:
    whole = wav(chunk(b"fmt ", wav_format()), chunk(b"data", bytes(8_000)))  # 0.25 s
    parsed(whole).require_whole("wav")
    parsed(whole[:-3_200]).require_whole("wav")
    with pytest.raises(
        CorruptAudioError,
        match=r"^the wav file is truncated: it declares 8000 bytes of samples and holds 4799$",
    ):
        parsed(whole[:-3_201]).require_whole("wav")


def test_endless_chunks_are_not_followed() -> None:
    empty = chunk(b"junk", b"")
    head = chunk(b"fmt ", wav_format())
    assert ChunkedAudio.parse(wav(head, *[empty] * 4_094, chunk(b"data", SAMPLES))) is not None
    assert ChunkedAudio.parse(wav(head, *[empty] * 4_095, chunk(b"data", SAMPLES))) is None
