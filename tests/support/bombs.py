"""Small files that are long, and files that lie about how long, wide or fast they are."""

import io
import struct
from fractions import Fraction

import av
import numpy as np
import soundfile

from tests.support.encoders import encode_av
from tests.support.sounds import RATE, encode, make

LOW_RATE = 8_000
_HOUR = 3600
_OPUS_RATE = 48_000
# 48 frames of 2.5 ms, all of them empty (RFC 6716, section 3.2.5): the longest packet there is.
_OPUS_SILENCE = bytes([(16 << 3) | 3, 48])
_OPUS_PACKET_SAMPLES = 5760


def bombs() -> dict[str, bytes]:
    """Files that have to be refused, by what is wrong with them."""
    flac = _flac_of_silence(_HOUR)
    mp3, aac = _packets("mp3", "libmp3lame"), _packets("adts", "aac")
    wav = encode(make("siren", 1))
    alac = encode_av(make("siren", 1)[:, None], RATE, "ipod", "alac")
    m4a = encode_av(make("siren", 1)[:, None], RATE, "ipod", "aac", pts=0)
    cookie, sizes = alac.rindex(b"alac") + 8, m4a.index(b"stsz") + 8
    return {
        "flac of an hour": flac,
        "flac of an hour that does not say so": _with_total(flac, 0),
        "flac of an hour that says one second": _with_total(flac, LOW_RATE),
        "flac of a second that says a year": _with_total(_flac_of_silence(1), 36 * 10**9),
        "ogg opus of an hour": _opus("ogg"),
        "webm opus of an hour": _opus("webm"),
        "mp3 of an hour": b"".join(mp3[-1:] * (_HOUR * LOW_RATE // 576)),
        "aac of an hour": b"".join(aac[-1:] * (_HOUR * LOW_RATE // 1024)),
        "m4a of an hour": _m4a(),
        "webm of an hour that does not say so": _opus("webm", live="1"),
        "mp4 of an hour that does not say so": _m4a(movflags="frag_keyframe+empty_moov"),
        "wav of 65,535 channels": wav[:22] + b"\xff\xff" + wav[24:],
        "wav of 4 GHz": wav[:24] + b"\xff\xff\xff\xff" + wav[28:],
        "wav of 1 Hz": wav[:24] + b"\x01\x00\x00\x00" + wav[28:],
        "alac of 2^31 samples in a frame": _patched(alac, cookie, b"\x7f\xff\xff\xff"),
        "alac of 255 channels": _patched(alac, cookie + 9, b"\xff"),
        "m4a with 2^32 samples in its table": _patched(m4a, sizes + 4, b"\xff\xff\xff\xff"),
        "m4a with samples of 4 GB": _patched(m4a, sizes, b"\xff\xff\xff\xff"),
    }


def decodable() -> dict[str, bytes]:
    """Files that lie, or hold little sound and much else, but can be answered."""
    mp3 = encode(make("siren", 1), RATE, "MP3")
    m4a = encode_av(make("siren", 1)[:, None], RATE, "ipod", "aac", pts=0)
    times = m4a.index(b"stts") + 8
    size = 20_000_000
    sevens = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return {
        "m4a with 2^32 times": _patched(m4a, times, b"\xff\xff\xff\xff"),
        "m4a with frames of a day": _patched(m4a, times + 8, struct.pack(">I", 86_400 * RATE)),
        "mp3 after a picture": b"ID3\x04\x00\x00" + sevens + bytes(size) + mp3,
        "m4a before a picture": m4a + struct.pack(">I", size + 8) + b"free" + bytes(size),
    }


def _patched(data: bytes, place: int, with_: bytes) -> bytes:
    return data[:place] + with_ + data[place + len(with_) :]


def _flac_of_silence(seconds: int) -> bytes:
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", LOW_RATE, 1, format="FLAC") as sound:
        for _ in range(seconds):
            sound.write(np.zeros(LOW_RATE, np.int16))
    return file.getvalue()


def _with_total(flac: bytes, samples: int) -> bytes:
    """With another number of samples, of 36 bits (RFC 9639, section 8.2)."""
    high = flac[21] & 0xF0 | samples >> 32
    return _patched(flac, 21, bytes([high]) + struct.pack(">I", samples & 0xFFFF_FFFF))


def _packets(container: str, codec: str) -> list[bytes]:
    """The frames of a second of silence."""
    silence = np.zeros((LOW_RATE, 1), np.float32)
    file = io.BytesIO(encode_av(silence, LOW_RATE, container, codec))
    with av.open(file) as source:
        return [bytes(packet) for packet in source.demux() if packet.size]


def _opus(container: str, **options: str) -> bytes:
    return _repeated(container, "libopus", _OPUS_RATE, _OPUS_SILENCE, _OPUS_PACKET_SAMPLES, options)


def _m4a(**options: str) -> bytes:
    silence = encode_av(np.zeros((LOW_RATE, 1), np.float32), LOW_RATE, "ipod", "aac")
    with av.open(io.BytesIO(silence)) as source:
        packet = [bytes(packet) for packet in source.demux() if packet.size][-1]
    return _repeated("mp4", "aac", LOW_RATE, packet, 1024, options)


def _repeated(
    container: str, codec: str, rate: int, packet: bytes, samples: int, options: dict[str, str]
) -> bytes:
    """One packet again and again, for an hour."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        output.start_encoding()
        for number in range(_HOUR * rate // samples):
            again = av.Packet(packet)
            again.stream = stream
            again.pts = again.dts = number * samples
            again.duration = samples
            again.time_base = Fraction(1, rate)
            output.mux(again)
    return file.getvalue()
