"""Proxies that are named: what they say of the client and of its scheme is believed."""

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

# Of a header, from its end: a proxy appends the address that it saw, and what is before may be
# anything. It is long enough for twenty addresses.
_MAX_HEADER_BYTES = 1000


class TrustedProxyMiddleware:
    """Takes the client's address from `X-Forwarded-For` of requests that come from named proxies.

    uvicorn's own middleware, which reads the header from its end and passes named proxies over;
    it would keep thousands of addresses of any length.
    """

    def __init__(self, app: ASGIApp, *, proxies: list[str]) -> None:
        """Wrap `app`; believe `proxies`, addresses and networks."""
        self._app = ProxyHeadersMiddleware(app, proxies)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if "headers" in scope:
            scope["headers"] = [
                (name, value[-_MAX_HEADER_BYTES:] if name == b"x-forwarded-for" else value)
                for name, value in scope["headers"]
            ]
        await self._app(scope, receive, send)  # type: ignore[arg-type]
