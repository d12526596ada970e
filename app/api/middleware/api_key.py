"""Authentication by API keys in the headers of requests and WebSockets."""

import asyncio

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.api_keys import ApiKey, ApiKeyStore
from app.api.problems import ProblemError, not_found, problem_response

STREAM_PROTOCOL = "earshot"
"""the WebSocket subprotocol of streams; to be offered beside a key"""
_KEY_PROTOCOL = "earshot.key."
METRICS_PATH = "/metrics"
_ADMIN = "/admin/"
# How often the key of a WebSocket is looked up, at least.
_CHECK_SECONDS = 1.0
_OPEN = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})
_OPEN_FOLDERS = ("/web/", "/docs/", "/examples/", "/problems/")
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
"""OpenAPI's entries for how a key is sent"""


def is_open(path: str) -> bool:
    """Return whether a path needs no key: the page, the documentation, problems and probes."""
    return path in _OPEN or path.startswith(_OPEN_FOLDERS)


class ApiKeyMiddleware:
    """Admits requests with a key, and notes its name in the scope's state as `client`."""

    def __init__(self, app: ASGIApp, keys: ApiKeyStore, *, metrics_public: bool) -> None:
        self._app = app
        self._keys = keys
        self._metrics_public = metrics_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer with a problem."""
        if scope["type"] in ("http", "websocket") and not self._is_open(scope["path"]):
            try:
                key = self._find_key(scope)
            except ProblemError as error:
                # Starlette's responses answer handshakes of WebSockets too.
                await problem_response(HTTPConnection(scope), error)(scope, receive, send)
                return
            scope.setdefault("state", {})["client"] = key.name
            if scope["type"] == "websocket":
                receive = self._receive_while_valid(scope, receive, send)
        await self._app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return is_open(path) or (self._metrics_public and path == METRICS_PATH)

    def _find_key(self, scope: Scope) -> ApiKey:
        """Return the key of a request; raises ProblemError where it has none that is valid."""
        admin = scope["path"].startswith(_ADMIN)
        if admin and not self._keys.has_admin:
            raise not_found()
        token = _token(scope)
        key = None if token is None else self._keys.find(token)
        if key is None:
            raise _unauthorized(token is None)
        if admin and key.scope != "admin":
            raise ProblemError(
                "forbidden",
                f"the key {key.name} has the scope {key.scope}, {_ADMIN} needs admin",
            )
        return key

    def _receive_while_valid(self, scope: Scope, receive: Receive, send: Send) -> Receive:
        """Return a `receive` of a WebSocket that closes it when its key is valid no longer."""

        async def receive_checked() -> Message:
            message = asyncio.ensure_future(receive())
            try:
                while True:
                    done, _ = await asyncio.wait([message], timeout=_CHECK_SECONDS)
                    try:
                        self._find_key(scope)
                    except ProblemError:
                        reason = "the key was revoked"
                        await send({"type": "websocket.close", "code": 1008, "reason": reason})
                        return {"type": "websocket.disconnect", "code": 1008, "reason": reason}
                    if done:
                        return message.result()
            finally:
                message.cancel()

        return receive_checked


def _token(scope: Scope) -> str | None:
    headers = Headers(scope=scope)
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    if key := headers.get("x-api-key"):
        return key
    # A browser can give a WebSocket no other header.
    for protocol in scope.get("subprotocols", ()):
        if protocol.startswith(_KEY_PROTOCOL):
            return str(protocol.removeprefix(_KEY_PROTOCOL))
    return None


def _unauthorized(missing: bool) -> ProblemError:
    # RFC 6750, section 3.1: without a token there is no error to name.
    challenge = 'Bearer realm="earshot"' + ("" if missing else ', error="invalid_token"')
    return ProblemError(
        "unauthorized",
        ("" if missing else "the key is not known; ")
        + "send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
        headers={"WWW-Authenticate": challenge},
    )
