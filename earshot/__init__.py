"""Earshot for its users: a client of the service, and the command line.

Example:
    from earshot import Client

    with Client("http://127.0.0.1:8000") as client:
        print(client.classify("urban-sound", "street.wav").label)

In a checkout of Earshot, `Classifier` does without a service:

    from earshot import Classifier

    print(Classifier("urban-sound").classify("street.wav").label)
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earshot.client import AsyncClient, Client
    from earshot.errors import EarshotError
    from earshot.local import Classifier as Classifier

__all__ = ["AsyncClient", "Client", "EarshotError"]
__version__ = "0.1.0"

DEFAULT_SERVER = "http://127.0.0.1:8000"

_MODULES = {
    "AsyncClient": "earshot.client",
    "Classifier": "earshot.local",
    "Client": "earshot.client",
    "EarshotError": "earshot.errors",
}


def __getattr__(name: str) -> object:
    """Import a class when it is first asked for: the service takes its schemas from here."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
