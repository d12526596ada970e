"""Who may ask: API keys in the headers of requests and WebSockets."""

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.api_keys import Key, Keys
from app.api.problems import ProblemError, answer, not_found

STREAM_PROTOCOL = "earshot"
"""the WebSocket subprotocol that is spoken; to be offered beside a key"""
_KEY_PROTOCOL = "earshot.key."
METRICS = "/metrics"
_ADMIN = "/admin/"
_OPEN = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})
_OPEN_FOLDERS = ("/web/", "/docs/")
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
"""OpenAPI's names for how a key is sent"""


def is_open(path: str) -> bool:
    """Whether a path needs no key: the page, the documentation and the probes."""
    return path in _OPEN or path.startswith(_OPEN_FOLDERS)


class Access:
    """Middleware: lets in who has a key, and notes its name in the scope's state as `client`."""

    def __init__(self, app: ASGIApp, keys: Keys, *, open_metrics: bool) -> None:
        self._app = app
        self._keys = keys
        self._open_metrics = open_metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] in ("http", "websocket") and not self._lets_in(scope["path"]):
            try:
                key = self._key_of(scope)
            except ProblemError as refusal:
                # Starlette's responses answer handshakes of WebSockets too.
                await answer(HTTPConnection(scope), refusal)(scope, receive, send)
                return
            scope.setdefault("state", {})["client"] = key.name
        await self._app(scope, receive, send)

    def _lets_in(self, path: str) -> bool:
        return is_open(path) or (self._open_metrics and path == METRICS)

    def _key_of(self, scope: Scope) -> Key:
        """The key that a request comes with; raises ProblemError where it will not do."""
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
