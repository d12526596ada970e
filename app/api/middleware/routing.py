"""What HTTP lets a client say in several ways: paths with a slash at their end, and HEAD."""

from starlette.types import ASGIApp, Receive, Scope, Send


class TrailingSlashMiddleware:
    """Answers a path with slashes at its end as the one without.

    A redirect, Starlette's way, would be to `http://` behind a proxy that speaks TLS.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if "path" in scope:
            scope["path"] = scope["path"].rstrip("/") or "/"
        await self._app(scope, receive, send)


class HeadMiddleware:
    """Answers HEAD wherever GET is answered; the server leaves the body out (RFC 9110, 9.3.2).

    The innermost middleware: the others see HEAD.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}
        try:
            await self._app(as_get, receive, send)
        finally:
            # What the router found out is told in the log.
            scope.update({**as_get, "method": "HEAD"})
