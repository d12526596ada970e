"""Files that were put one behind the other: where each begins.

Ogg calls them the links of a chain (RFC 3533, section 4); of the other formats, streams that were
recorded in pieces, or joined with `cat`, are the same.
"""

import heapq
import re
import struct
from collections.abc import Iterator

from app.decoding.errors import CorruptAudioError

# What begins a stream, so long that it cannot turn up within one: a FLAC with its STREAMINFO
# (RFC 9639, section 8), an EBML header, and an ID3v2 tag (id3.org) or the end of an APEv2 tag.
_FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_EBML = re.compile(rb"\x1aE\xdf\xa3[\x01-\xff][\s\S]{0,40}\x42\x82[\x84\x88](?:webm|matroska)")
_ID3 = re.compile(rb"ID3[\x02-\x04]\x00[\s\S][\x00-\x7f]{4}")
_APE_FOOTER = re.compile(rb"APETAGEX[\s\S]{15}[\x00-\x9f]\x00{8}")
_TAG_HEADER_BYTES = 10
# The first frame of an MP3, which tells how many there are: behind a header and side information
# of a length that depends on version and channels.
_XING = re.compile(rb"(?:Xing|Info)\x00\x00\x00[\x01-\x0f]")
_SIDE_INFO_BYTES = (32, 17, 9)
_OGG_FIRST_PAGE = re.compile(rb"OggS\x00[\x02\x06]")
_OGG_HEADER_BYTES = 27
# Of formats that may stand behind an ID3v2 tag, and are no MP3 or AAC.
_MAGIC = re.compile(rb"RIFF|RIFX|RF64|BW64|riff|FORM|fLaC|OggS|\x1aE\xdf\xa3|[\s\S]{4}ftyp")
TAGS = (b"ID3", b"3DI", b"TAG", b"APETAGEX", b"LYRICS")
"""beginnings of what is found between the frames of MP3 and AAC, and is no sound"""


def skip_tag(data: bytes) -> bytes:
    """Return a file without the ID3v2 tags in front, unless it is MP3 or AAC, where they belong."""
    start = 0
    while _ID3.match(data, start):
        start += id3_size(data, start)
    return data[start:] if start and _MAGIC.match(data, start) else data


def id3_size(data: bytes, start: int = 0) -> int:
    """Return the bytes of the ID3v2 tag there, 0 where is none.

    ID3v2.4.0, section 3.1: a header, a size of four times seven bits, and perhaps a footer.
    """
    if not _ID3.match(data, start):
        return 0
    size = 0
    for byte in data[start + 6 : start + _TAG_HEADER_BYTES]:
        size = size << 7 | byte
    footer = _TAG_HEADER_BYTES if data[start + 5] & 0x10 else 0
    return _TAG_HEADER_BYTES + size + footer


def find_links(data: bytes) -> list[slice]:
    """Return where the files are that a file consists of; most often it is one."""
    parts = list(_find_parts(data))
    starts = [0, *(end for _, end in parts)]
    ends = [*(start for start, _ in parts), len(data)]
    links = [slice(*span) for span in zip(starts, ends, strict=True) if span[0] < span[1]]
    return links if parts and links else [slice(None)]


def require_whole_ogg(data: bytes) -> None:
    """Raise CorruptAudioError where the last page of Ogg is not whole."""
    if _ogg_page_end(data, data.rfind(b"OggS")) > len(data):
        raise CorruptAudioError("the ogg file is truncated: its last page is not whole")


def _find_parts(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where one file ends and where the next begins; what is between is no sound."""
    if data[:4] == b"OggS":
        starts = _ogg_starts(data)
    elif data[:4] == b"fLaC":
        starts = (match.start() for match in _FLAC.finditer(data, 1))
    elif data[:4] == b"\x1aE\xdf\xa3":
        starts = (match.start() for match in _EBML.finditer(data, 1))
    else:
        if not _MAGIC.match(data):
            yield from _tag_spans(data)
        return
    yield from ((start, start) for start in starts)


def _ogg_starts(data: bytes) -> Iterator[int]:
    """A link begins with the first pages of its streams, one directly behind the other."""
    end_of_first_pages = 0
    for match in _OGG_FIRST_PAGE.finditer(data):
        start = match.start()
        if start > end_of_first_pages:
            yield start
        end_of_first_pages = _ogg_page_end(data, start)


def _ogg_page_end(data: bytes, start: int) -> int:
    """Return where a page of Ogg ends (RFC 3533, section 6: header, segment table, body)."""
    table = start + _OGG_HEADER_BYTES
    segments = data[table - 1] if table <= len(data) else 0
    return table + segments + sum(data[table : table + segments])


def _tag_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the tags of MP3 and AAC but those in front, and where an MP3 says that it begins."""
    position = 0
    while size := id3_size(data, position):
        position += size
    found = heapq.merge(
        *(pattern.finditer(data, position) for pattern in (_ID3, _APE_FOOTER, _XING)),
        key=re.Match.start,
    )
    for match in found:
        start, end = _tag_span(data, match)
        if position < start or position == start < end:  # not within a tag, as part of a picture
            yield start, end
        position = max(position, end)


def _tag_span(data: bytes, match: re.Match[bytes]) -> tuple[int, int]:
    """Return where a tag begins and ends, or twice where the frame of Xing begins."""
    if match.re is _ID3:
        return match.start(), match.start() + id3_size(data, match.start())
    if match.re is _XING:
        headers = (match.start() - 4 - size for size in _SIDE_INFO_BYTES)
        frame = next((at for at in headers if at > 0 and _is_frame(data, at)), 0)
        return frame, frame
    size, _, flags = struct.unpack_from("<III", data, match.start() + 12)
    start = match.end() - size - (32 if flags >> 31 else 0)
    return max(0, start), match.end()


def _is_frame(data: bytes, start: int) -> bool:
    """Return whether a frame of MP3 begins there: eleven bits that are set, and layer III."""
    return data[start] == 0xFF and data[start + 1] & 0xE6 == 0xE2
