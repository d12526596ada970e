"""An attack: what it does, for how long, and the settings of the server that it is aimed at."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import Address
from bench.servers import Setting


@dataclass(frozen=True)
class Target:
    """A server to attack."""

    address: Address
    seconds: float
    """for how long, at least where the attack can be repeated"""

    @property
    def host(self) -> str:
        """The header `Host` that the server expects."""
        return "{}:{}".format(*self.address)

    def head(self, method: str, path: str, *headers: str) -> bytes:
        """Make the head of a request."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", *headers, "", ""]
        return "\r\n".join(lines).encode()

    def post(self, path: str, media_type: str, size: int) -> bytes:
        """Make the head of a request with a body of `size` bytes."""
        return self.head("POST", path, f"Content-Type: {media_type}", f"Content-Length: {size}")

    def rounds(self) -> Iterator[int]:
        """Count rounds, one at least, until the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.seconds
        number = 0
        while number == 0 or loop.time() < end:
            yield number
            number += 1


Run = Callable[[Target], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Attack:
    """An attack, which a process of its own runs.

    `run` is a function of a module, so that another process finds it.
    """

    run: Run
    prepare: Callable[[Path], Mapping[str, Setting]] = lambda _folder: {}
    """returns the settings of the server, given an empty folder for what they name"""

    @property
    def what(self) -> str:
        """What the client does, in a line."""
        return (self.run.__doc__ or "").partition("\n")[0]


async def send_and_wait(target: Target, content: bytes, seconds: float) -> None:
    """Send bytes on a new connection; break it off when it ends, or after so many seconds."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(*target.address)
            try:
                writer.write(content)
                await writer.drain()
                await reader.read()
            finally:
                writer.transport.abort()


async def at_once(count: int, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run so many clients at the same time."""
    await asyncio.gather(*(make() for _ in range(count)))


async def send_in_turn(target: Target, contents: Sequence[bytes]) -> None:
    """Have four clients at the same time send one after the other of `contents`, in rounds."""

    async def client() -> None:
        for content in contents:
            await send_and_wait(target, content, 1)

    for _ in target.rounds():
        await at_once(4, client)
