"""Where one file ends and the next begins, of bytes that are written by hand."""

import struct

import pytest

from app.decoding.errors import CorruptAudioError
from app.decoding.links import find_links, id3_size, require_whole_ogg, skip_tag

FRAME = b"\xff\xfb\x90\x00"  # MPEG 1, layer III
SOUND = FRAME + b"\x55" * 60


def id3(size: int, *, version: int = 3, footer: bool = False) -> bytes:
    sizes = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    flags = 0x10 if footer else 0
    return b"ID3" + bytes([version, 0, flags]) + sizes + b"\x20" * (size + (10 if footer else 0))


def ape(items: bytes, *, header: bool) -> bytes:
    """Return an APEv2 tag: items and a footer, whose size is theirs, perhaps after a header."""

    def end(flags: int) -> bytes:
        size = len(items) + 32
        return b"APETAGEX" + struct.pack("<IIII", 2000, size, 1, flags) + bytes(8)

    return (end(0xA000_0000) if header else b"") + items + end(0x8000_0000 if header else 0)


def xing(side_info: int, header: bytes = FRAME) -> bytes:
    return header + bytes(side_info) + b"Info\0\0\0\x0f" + bytes(40)


def ogg_page(body: bytes, *, first: bool = False, segments: int | None = None) -> bytes:
    sizes = [255] * (len(body) // 255) + [len(body) % 255]
    table = bytes(sizes if segments is None else sizes[:segments])
    header = b"OggS\0" + bytes([2 if first else 0]) + bytes(20) + bytes([len(table)])
    return header + table + body


def spans(data: bytes) -> list[tuple[int, int]]:
    return [each.indices(len(data))[:2] for each in find_links(data)]


def test_the_size_of_a_tag() -> None:
    assert id3_size(id3(0)) == 10
    assert id3_size(id3(300)) == 310
    assert id3_size(id3(2_097_152 + 5)) == 2_097_167
    assert id3_size(id3(300, version=4, footer=True)) == 320
    assert id3_size(SOUND + id3(7), len(SOUND)) == 17
    assert id3_size(SOUND) == 0
    assert id3_size(b"ID3\x05\0\0\0\0\0\0") == 0


@pytest.mark.parametrize("magic", [b"RIFF", b"fLaC", b"OggS", b"\x1aE\xdf\xa3", b"\0\0\0\x20ftyp"])
def test_tags_before_other_formats_are_skipped(magic: bytes) -> None:
    assert skip_tag(id3(20) + id3(300) + magic + SOUND) == magic + SOUND


def test_tags_before_an_mp3_belong_to_it() -> None:
    data = id3(20) + SOUND
    assert skip_tag(data) == data
    assert skip_tag(SOUND) == SOUND


def test_a_file_alone_is_whole() -> None:
    for data in (b"", SOUND, id3(20) + SOUND, b"RIFF" + SOUND + id3(9) + SOUND):
        assert find_links(data) == [slice(None)]


def test_tags_between_frames_are_left_out() -> None:
    tag = id3(30)
    data = id3(20) + SOUND + tag + SOUND
    begin, end = 30 + len(SOUND), 30 + len(SOUND) + len(tag)
    assert spans(data) == [(0, begin), (end, len(data))]


@pytest.mark.parametrize("header", [False, True])
def test_an_ape_tag_is_found_by_its_end(header: bool) -> None:
    tag = ape(b"\x33" * 50, header=header)
    data = SOUND + tag + SOUND
    assert spans(data) == [(0, len(SOUND)), (len(SOUND) + len(tag), len(data))]
    assert spans(SOUND + tag) == [(0, len(SOUND))]


def test_an_ape_tag_that_claims_more_than_there_is_begins_with_the_file() -> None:
    data = b"\x33" * 20 + ape(b"\x33" * 50, header=False)[-32:] + SOUND
    assert spans(data) == [(len(data) - len(SOUND), len(data))]


@pytest.mark.parametrize("side_info", [32, 17, 9])
def test_an_mp3_that_says_how_long_it_is_begins_there(side_info: int) -> None:
    joined = SOUND + xing(side_info) + SOUND
    assert spans(joined) == [(0, len(SOUND)), (len(SOUND), len(joined))]


@pytest.mark.parametrize(
    "data",
    [
        xing(32) + SOUND,  # the first
        SOUND + xing(20) + SOUND,  # not where a frame would have it
        SOUND + xing(32, b"\xff\xfd\x90\x00") + SOUND,  # layer II
        SOUND + xing(32, b"\xff\x1b\x90\x00") + SOUND,  # no frame
        SOUND + xing(32, b"\xfe\xfb\x90\x00") + SOUND,
    ],
)
def test_a_name_that_turns_up_within_is_no_beginning(data: bytes) -> None:
    assert find_links(data) == [slice(None)]


def test_a_tag_within_a_tag_is_a_part_of_it() -> None:
    within = id3(8)
    outer = id3(40 + len(within))
    outer = outer[:20] + within + outer[20 + len(within) :]
    data = SOUND + outer + SOUND
    assert spans(data) == [(0, len(SOUND)), (len(SOUND) + len(outer), len(data))]


def test_flac_and_matroska_begin_with_what_no_stream_contains() -> None:
    flac = b"fLaC\0\0\0\x22" + b"\x11" * 90
    assert spans(flac + flac) == [(0, len(flac)), (len(flac), 2 * len(flac))]
    webm = b"\x1aE\xdf\xa3\x9f" + bytes(24) + b"\x42\x82\x84webm" + b"\x11" * 90
    assert spans(webm + webm) == [(0, len(webm)), (len(webm), 2 * len(webm))]
    assert spans(flac + webm) == [(0, len(flac) + len(webm))]


def test_a_chain_of_ogg_begins_with_first_pages_side_by_side() -> None:
    link = ogg_page(b"\x01" * 300, first=True) + ogg_page(b"\x02" * 30, first=True)
    link += ogg_page(b"\x03" * 510)
    assert spans(link + link) == [(0, len(link)), (len(link), 2 * len(link))]
    require_whole_ogg(link)
    with pytest.raises(CorruptAudioError, match=r"^the ogg file is truncated: its last page"):
        require_whole_ogg(link[:-1])
    with pytest.raises(CorruptAudioError):
        require_whole_ogg(link + b"OggS\0\0")
