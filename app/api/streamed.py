"""Answers that are sent while they are made."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from fastapi import Response
from starlette.types import Receive, Scope, Send


class Streamed(Response):
    """Sends pieces as they come.

    Starlette's own streaming response would take what is left of the request's body for itself,
    to see whether the client is still there. And it begins at once, where this one waits for the
    first piece: what goes wrong before is still answered with a status of its own.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        *,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is made yet; `pieces` are closed at the end, however it comes."""
        super().__init__(media_type=media_type, headers=headers)
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send all of them."""
        async with aclosing(self._pieces) as pieces:
            first = await anext(pieces, b"")
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
