"""API keys: who may use the service, from a file that can change while it runs.

One key is one line, `name:scope:sha256`; lines that are empty or begin with `#` say nothing. A
name may have several keys, so that a new one can be handed out before the old one is taken back.

Only the SHA-256 of a key is kept. A password would need a slow hash with a salt, because people
choose passwords that can be guessed; a key is 256 random bits, which nobody finds by trying, and
a fast hash costs each request nothing.
"""

import hashlib
import hmac
import logging
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

log = logging.getLogger(__name__)

Scope = Literal["use", "admin"]
"""use: everything but /admin; admin: that too"""

_SCOPES: tuple[Scope, ...] = ("use", "admin")
_PREFIX = "earshot_"
_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_LINE = re.compile(rf"({_NAME.pattern}):([a-z]+):([0-9a-f]{{64}})", re.ASCII)


class ApiKeyError(ValueError):
    """The file of keys cannot be used; the message says which line and why."""


@dataclass(frozen=True)
class ApiKey:
    """A key without its token, of which only the hash is kept."""

    name: str
    scope: Scope
    sha256: str
    """of the token, in hexadecimal"""

    @property
    def line(self) -> str:
        """The line of the file."""
        return f"{self.name}:{self.scope}:{self.sha256}"


def make_key(name: str, scope: Scope) -> tuple[str, ApiKey]:
    """Make a token of 256 random bits, and the key to keep of it.

    Raises ApiKeyError where the name is not 1 to 64 letters, digits, `.`, `_`, `@` or `-`.
    """
    if not _NAME.fullmatch(name):
        raise ApiKeyError(
            f"a name has 1 to 64 letters, digits, '.', '_', '@' and '-', got {name!r}"
        )
    token = _PREFIX + secrets.token_urlsafe(32)
    return token, ApiKey(name, scope, _sha256(token))


class ApiKeyStore:
    """The keys of a file, read again whenever it has changed."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises ApiKeyError when it cannot be read or a line is not a key.
        """
        self._path = path
        self._loaded_version = self._version()
        self._keys = _read(path)

    def find(self, token: str) -> ApiKey | None:
        """Return the key with this token, None where there is none.

        It takes as long for a wrong token as for a right one: comparisons end with the last
        key, not with the first that fits.
        """
        self._reload_if_changed()
        digest = _sha256(token)
        found = None
        for key in self._keys:
            if hmac.compare_digest(digest, key.sha256):
                found = key
        return found

    @property
    def has_admin(self) -> bool:
        """Whether any of the keys has the scope admin."""
        self._reload_if_changed()
        return any(key.scope == "admin" for key in self._keys)

    def reload(self) -> None:
        """Read the file again; one that is unfit is logged and changes nothing."""
        self._loaded_version = self._version()
        try:
            self._keys = _read(self._path)
        except ApiKeyError as error:
            log.error("the keys stay as they were: %s", error)
        else:
            log.info("read %d keys", len(self._keys))

    def _reload_if_changed(self) -> None:
        if self._version() != self._loaded_version:
            self.reload()

    def _version(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> list[ApiKey]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ApiKeyError(f"cannot read the keys in {path.name}: {error}") from error
    numbered = ((number, line.strip()) for number, line in enumerate(lines, start=1))
    return [_parse(line, number) for number, line in numbered if line and not line.startswith("#")]


def _parse(line: str, number: int) -> ApiKey:
    # The message never shows the line: someone may have put a token there.
    found = _LINE.fullmatch(line)
    if found is None:
        raise ApiKeyError(
            f"line {number} of the keys is not name:scope:sha256, a name of at most 64 letters, "
            "digits and .-_@ and 64 hexadecimal digits in lower case"
        )
    name, scope, sha256 = found.groups()
    for known in _SCOPES:
        if scope == known:
            return ApiKey(name, known, sha256)
    raise ApiKeyError(f"line {number} of the keys: the scope is neither use nor admin")


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
