"""Where Earshot's other packages are: a checkout has the service and the training beside this one.

The wheel holds `earshot` alone. Another project's packages may be called `app` and `training` too.
"""

import importlib.util
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
# A module of the package, and what the package needs to run.
_PACKAGES = {
    "app": ("app/inference/registry.py", "openvino"),
    "training": ("training/cli/__init__.py", "lightning"),
}
_MISSING = {
    "app": "the service's packages are missing: run `make serve` in a checkout of Earshot",
    "training": "the training packages are missing: run `make install-training` in a checkout "
    "of Earshot",
}


class MissingPackagesError(ImportError):
    """Earshot's service or its training is not here; the message says how to get it."""


def is_here(package: str) -> bool:
    """Return whether the checkout's package `app` or `training` is the one that is imported."""
    module, _ = _PACKAGES[package]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None or not (_ROOT / module).is_file():
        return False
    return Path(spec.origin).resolve() == _ROOT / package / "__init__.py"


def require(package: str) -> None:
    """Raise MissingPackagesError unless the package is here, with what it needs to run."""
    _, needed = _PACKAGES[package]
    if not is_here(package) or importlib.util.find_spec(needed) is None:
        raise MissingPackagesError(_MISSING[package])
