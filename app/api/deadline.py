"""The deadline of an answer: the time that a request may take, or the end of its client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from app.api.problems import deadline_exceeded


@asynccontextmanager
async def answer_deadline(request: Request, seconds: float) -> AsyncIterator[None]:
    """Limit the body of a `with` statement, which makes the answer, in time.

    The request's body must have been read. The answer is cancelled, too, when its client is gone.

    Raises:
        ProblemError: (503) the deadline passed.
        ClientDisconnect: nobody is there any more to read the answer.
    """
    is_disconnected = False

    async def expire_on_disconnect() -> None:
        nonlocal is_disconnected
        while (await request.receive())["type"] != "http.disconnect":
            pass
        is_disconnected = True
        timeout.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(seconds) as timeout:
            watch = asyncio.create_task(expire_on_disconnect())
            try:
                yield
            finally:
                watch.cancel()
    except TimeoutError:
        if is_disconnected:
            raise ClientDisconnect from None
        raise deadline_exceeded(seconds) from None
