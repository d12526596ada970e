"""Files as people really send them: with gaps, late, joined, tagged and with damaged packets."""

import io
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from tests.support.encoders import encode_av

Keep = Callable[[float], bool]
"""whether the packet at so many seconds is kept"""


def remux(
    data: bytes,
    container: str,
    *,
    keep: Keep = lambda seconds: True,
    offset: float = 0.0,
    options: dict[str, str] | None = None,
) -> bytes:
    """Write the packets of a file into another: some of them, and so many seconds later."""
    file = io.BytesIO()
    with (
        av.open(io.BytesIO(data)) as source,
        av.open(file, "w", format=container, options=options or {}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.pts is None or packet.time_base is None or not packet.size:
                continue
            if keep(float(packet.pts * packet.time_base)):
                shift = round(offset / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, (packet.dts or 0) + shift
                packet.stream = stream
                output.mux(packet)
    return file.getvalue()


def packet_offsets(data: bytes) -> list[tuple[int, int]]:
    """Return where each packet of the first sound track is, and how many bytes it has."""
    with av.open(io.BytesIO(data)) as source:
        packets = [bytes(packet) for packet in source.demux(audio=0) if packet.size]
    found, place = [], 0
    for packet in packets:
        place = data.index(packet, place)
        found.append((place, len(packet)))
        place += len(packet)
    return found


def without_fragments(mp4: bytes, lost: range) -> bytes:
    """Return a fragmented MP4 without some of its fragments (boxes `moof` and `mdat`)."""
    fragment, kept = -1, b""
    for name, box in _boxes(mp4):
        fragment += name == b"moof"
        if name not in (b"moof", b"mdat") or fragment not in lost:
            kept += box
    return kept


def _boxes(mp4: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place < len(mp4):
        size, name = struct.unpack_from(">I4s", mp4, place)
        yield name, mp4[place : place + size]
        place += size


def with_tracks(
    tracks: list[NDArray[np.float32]],
    rate: int,
    codecs: list[str],
    container: str = "matroska",
    default: int | None = None,
) -> bytes:
    """Return a file with several sound tracks `[frames, channels]`, one of them the default."""
    file = io.BytesIO()
    packets = []
    with av.open(file, "w", format=container) as output:
        for number, (samples, codec) in enumerate(zip(tracks, codecs, strict=True)):
            encoded = encode_av(samples, rate, "matroska", codec, pts=0)
            with av.open(io.BytesIO(encoded)) as source:
                stream = output.add_stream_from_template(source.streams.audio[0])
                if number == default:
                    stream.disposition = av.stream.Disposition.default
                packets += [(stream, packet) for packet in source.demux(audio=0) if packet.size]
        packets.sort(key=lambda pair: Fraction(pair[1].dts or 0) * (pair[1].time_base or 1))
        for stream, packet in packets:
            packet.stream = stream
            output.mux(packet)
    return file.getvalue()


def id3v2(body: bytes = b"TIT2\x00\x00\x00\x05\x00\x00\x03abcd", *, footer: bool = False) -> bytes:
    """Return an ID3v2.4 tag, with a footer if it is to be appended."""
    sizes = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    head = b"\x04\x00" + (b"\x10" if footer else b"\x00") + sizes
    return b"ID3" + head + body + (b"3DI" + head if footer else b"")


def apev2(cover: bytes = b"") -> bytes:
    """Return an APEv2 tag with a cover."""
    item = struct.pack("<II", len(cover) + 6, 2) + b"Cover Art (Front)\x00c.jpg\x00" + cover
    fields = struct.pack("<III", 2000, len(item) + 32, 1)
    head, foot = (struct.pack("<I", flags) + bytes(8) for flags in (0xA000_0000, 0x8000_0000))
    return b"APETAGEX" + fields + head + item + b"APETAGEX" + fields + foot


def apev1() -> bytes:
    """Return an APEv1 tag, which has no header."""
    item = struct.pack("<II", 3, 0) + b"Title\x00abc"
    return item + b"APETAGEX" + struct.pack("<IIII", 1000, len(item) + 32, 1, 0) + bytes(8)


def lyrics3() -> bytes:
    """Return a Lyrics3v2 tag, and the ID3v1 tag that always follows it."""
    body = b"LYRICSBEGININD0000200LYR00010la la la l"
    return body + b"%06d" % len(body) + b"LYRICS200" + ID3V1


ID3V1 = b"TAG" + bytes(125)


def wav(
    pcm: NDArray[np.int16],
    rate: int,
    *,
    magic: bytes = b"RIFF",
    riff_size: int | None = None,
    data_size: int | None = None,
    ds64: tuple[int, int] | None = None,
    codec: int = 1,
) -> bytes:
    """Return a mono WAV with the sizes that its header is to tell; None: the true ones."""
    order = ">" if magic == b"RIFX" else "<"
    samples = pcm.astype(order + "i2").tobytes()
    fmt = struct.pack(order + "HHIIHH", codec, 1, rate, 2 * rate, 2, 16)
    chunks = b"fmt " + struct.pack(order + "I", len(fmt)) + fmt
    if ds64 is not None:
        chunks = b"ds64" + struct.pack("<IQQQI", 28, *ds64, 0, 0) + chunks
    size = len(samples) if data_size is None else data_size
    chunks += b"data" + struct.pack(order + "I", size) + samples
    whole = len(chunks) + 4 if riff_size is None else riff_size
    return magic + struct.pack(order + "I", whole) + b"WAVE" + chunks
