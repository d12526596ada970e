"""Hosts and origins: which names the service answers to, and which sites' pages may ask."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.middleware.api_key import is_open
from app.api.problems import ProblemError, problem_response

ANY = "*"
"""the name of all hosts, or of all sites"""
_HOST = re.compile(r"(?:\[([^\]]+)\]|([^:@/\[\]]+?)\.?)(?::\d{0,5})?", re.ASCII)
_OWN_SITE = ("same-origin", "none")  # none: typed, or a bookmark


class OriginMiddleware:
    """Refuses requests that the pages of other sites make through a visitor's browser.

    The name in `Host` has to be `localhost`, an IP address or one that is allowed: a site that
    has its own name resolve to this machine (DNS rebinding) could otherwise read every answer.
    And what costs or changes something is asked by this service's own page alone, or by those of
    allowed sites: a browser says in `Sec-Fetch-Site`, or else in `Origin`, whose page it is.
    Programs send neither.
    """

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], sites: Sequence[str]) -> None:
        """Wrap `app`.

        Args:
            app: what answers the requests that pass.
            hosts: names that are allowed beside `localhost` and addresses, in any case;
                `*.example.org` is each name below it, `*` is any.
            sites: origins whose pages may ask, as `https://site.example`; `*` is any.
        """
        self._app = app
        self._hosts = [host.lower() for host in hosts]
        self._sites = sites

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer with a problem."""
        if scope["type"] in ("http", "websocket"):
            try:
                self._require_host(Headers(scope=scope))
                if not is_open(scope["path"]):
                    self._require_site(Headers(scope=scope))
            except ProblemError as error:
                await problem_response(HTTPConnection(scope), error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _require_host(self, headers: Headers) -> None:
        for host in headers.getlist("host"):
            name = _host_name(host)
            if not (_is_address(name) or self._is_allowed(name)):
                raise ProblemError(
                    "unknown-host",
                    f"this service does not answer to the name {name[:100]!r}; ask by its "
                    "address, as localhost, or have it named in EARSHOT_ALLOWED_HOSTS",
                )

    def _is_allowed(self, name: str) -> bool:
        return any(
            host in (name, ANY) or (host.startswith("*.") and name.endswith(host[1:]))
            for host in ("localhost", "*.localhost", *self._hosts)
        )

    def _require_site(self, headers: Headers) -> None:
        origin = headers.get("origin")
        if ANY in self._sites or origin in self._sites:
            return
        site = headers.get("sec-fetch-site")
        if site is not None:
            is_own = site in _OWN_SITE
        else:
            # The scheme is that before a proxy, if any.
            is_own = origin is None or _authority(origin) == headers.get("host", "").lower()
        if not is_own:
            raise ProblemError(
                "cross-origin",
                "pages of other sites may not ask this service; have the site named in "
                "EARSHOT_CORS_ORIGINS",
            )


def _host_name(host: str) -> str:
    """Return the name in a header `Host`, in lower case; all of it where it is not NAME:PORT."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else host


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _authority(origin: str) -> str | None:
    """Return the host and port of an origin; None where it has none, as `null`."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
