"""Attacks by uploads: small ones that become large, many parts, bodies that never end."""

import asyncio
import contextlib

from bench import recordings
from bench.hostile.attack import Attack, Target, at_once, send_and_wait
from bench.hostile.flac import silent_flac
from bench.servers import URBAN_SOUND

_BOUNDARY = "multipart/form-data; boundary=x"
_PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
_EMPTY_FIELD = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
_MEGABYTE = 1 << 20


async def aborted(target: Target) -> None:
    """Forms of 300 MB that are broken off just before their end, two at a time."""
    size = 300 * 1_000_000
    head = target.post(URBAN_SOUND, _BOUNDARY, size) + _PART

    async def client() -> None:
        await _send(target, head, size - len(_PART) - 1, linger=0)

    for number in target.rounds():
        await at_once(2, client)
        if number == 9:
            return


async def json_lists(target: Target) -> None:
    """36 MB of JSON that is nothing but empty lists, to /hf."""
    body = b'{"inputs":[' + b"[]," * 12_000_000 + b"[]]}"
    content = target.post("/hf/urban-sound", "application/json", len(body)) + body
    for _ in target.rounds():
        await at_once(2, lambda: send_and_wait(target, content, 60))


async def flac_bombs(target: Target) -> None:
    """60 times ten minutes of FLAC at 655 kHz in 8 channels (230 kB), clients gone at once."""
    file = silent_flac(599, 655_350, 8)
    content = target.post("/spectrogram", "audio/flac", len(file)) + file
    for _ in target.rounds():
        await at_once(60, lambda: send_and_wait(target, content, 0.4))
        await asyncio.sleep(1)


async def flac_bombs_to_classify(target: Target) -> None:
    """The same to /classify, from clients that wait."""
    file = silent_flac(599, 655_350, 8)
    content = target.post(URBAN_SOUND, "audio/flac", len(file)) + file
    await at_once(60, lambda: send_and_wait(target, content, target.seconds))


async def stalled_bodies(target: Target) -> None:
    """32 bodies of which 4 MiB come at once, and then nothing."""
    head = target.post(URBAN_SOUND, "audio/wav", 300 * _MEGABYTE)
    await at_once(32, lambda: _send(target, head, 4 * _MEGABYTE, linger=target.seconds))


async def stalled_memory(target: Target) -> None:
    """Four bodies of which 270 MB come at once, and then nothing."""
    head = target.post(URBAN_SOUND, "audio/wav", 300 * _MEGABYTE)
    await at_once(4, lambda: _send(target, head, 270_000_000, linger=target.seconds))


async def trickled_bodies(target: Target) -> None:
    """64 bodies of which a kilobyte comes ten times a second."""
    head = target.post(URBAN_SOUND, "audio/wav", 300 * _MEGABYTE)

    async def client() -> None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(*target.address)
            writer.write(head)
            for _ in target.rounds():
                writer.write(bytes(1000))
                await writer.drain()
                await asyncio.sleep(0.1)
            writer.transport.abort()

    await at_once(64, client)


async def field_names(target: Target) -> None:
    """A form of 4,000 fields whose names are 4,000 semicolons each (16 MB)."""
    field = b'--x\r\nContent-Disposition: form-data; name="' + b";" * 4000 + b'"\r\n\r\n\r\n'
    await _post_form(target, field * 4000)


async def fields(target: Target) -> None:
    """A form of 600,000 empty fields."""
    await _post_form(
        target, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 600_000
    )


async def batch_of_nothing(target: Target) -> None:
    """A batch of 600,000 fields, none of which is a file."""
    await _post_form(target, _EMPTY_FIELD * 600_000, f"{URBAN_SOUND}/batch")


async def half_clips(target: Target) -> None:
    """Clips that are broken off in their middle, from 50 clients at a time."""
    content = recordings.clip_request().content
    content = content[: len(content) // 2]
    for _ in target.rounds():
        await at_once(50, lambda: send_and_wait(target, content, 0.2))


async def _post_form(target: Target, fields: bytes, path: str = URBAN_SOUND) -> None:
    body = fields + b"--x--\r\n"
    content = target.post(path, _BOUNDARY, len(body)) + body
    for _ in target.rounds():
        await at_once(2, lambda: send_and_wait(target, content, 60))


async def _send(target: Target, head: bytes, size: int, *, linger: float) -> None:
    """Send a head and `size` zeros; break the connection off so many seconds later."""
    piece = bytes(_MEGABYTE)
    with contextlib.suppress(OSError, TimeoutError):
        reader, writer = await asyncio.open_connection(*target.address)
        try:
            writer.write(head)
            for start in range(0, size, len(piece)):
                writer.write(piece[: size - start])
                await writer.drain()
            async with asyncio.timeout(linger):
                await reader.read()
        finally:
            writer.transport.abort()


UPLOAD_ATTACKS = {
    name: Attack(run)
    for name, run in {
        "aborted forms": aborted,
        "JSON lists": json_lists,
        "FLAC bombs": flac_bombs,
        "FLAC bombs, classified": flac_bombs_to_classify,
        "stalled bodies": stalled_bodies,
        "stalled memory": stalled_memory,
        "trickled bodies": trickled_bodies,
        "field names": field_names,
        "fields": fields,
        "batch of nothing": batch_of_nothing,
        "half clips": half_clips,
    }.items()
}
