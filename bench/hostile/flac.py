"""Silent FLAC, a few bytes for each second of it (RFC 9639)."""

import struct
from functools import cache

_BLOCK = 65_535
_BITS_16, _RATE_IN_TENS, _SIZE_16_BITS = 4, 0xE, 7


def silent_flac(seconds: float, sample_rate: int, channels: int) -> bytes:
    """Make a file of constant blocks of zeros.

    Args:
        seconds: duration.
        sample_rate: Hz, a multiple of ten up to 655,350.
        channels: up to 8.
    """
    frames = round(seconds * sample_rate / _BLOCK)
    packed = (
        sample_rate << 44 | (channels - 1) << 41 | (16 - 1) << 36 | frames * _BLOCK  # STREAMINFO
    ).to_bytes(8)
    info = struct.pack(">HH", _BLOCK, _BLOCK) + bytes(6) + packed + bytes(16)
    head = b"fLaC\x80" + len(info).to_bytes(3) + info
    return head + b"".join(_frame(number, sample_rate, channels) for number in range(frames))


def _frame(number: int, sample_rate: int, channels: int) -> bytes:
    layout = (channels - 1) << 4 | _BITS_16 << 1
    head = bytes([0xFF, 0xF8, _SIZE_16_BITS << 4 | _RATE_IN_TENS, layout])
    head += chr(number).encode("utf-8", "surrogatepass")
    head += struct.pack(">HH", _BLOCK - 1, sample_rate // 10)
    head += bytes([_crc(head, 8, 0x07)])
    # A constant subframe: its kind, and the one sample.
    body = head + bytes(3) * channels
    return body + _crc(body, 16, 0x8005).to_bytes(2)


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    table, crc = _crc_table(bits, polynomial), 0
    for byte in data:
        crc = (crc << 8 ^ table[crc >> (bits - 8) ^ byte]) % (1 << bits)
    return crc


@cache
def _crc_table(bits: int, polynomial: int) -> list[int]:
    table = []
    for value in range(256):
        crc = value << (bits - 8)
        for _ in range(8):
            crc = (crc << 1) % (1 << bits) ^ (polynomial if crc >> (bits - 1) else 0)
        table.append(crc)
    return table
