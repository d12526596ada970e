"""The checkpoint that everything is measured with."""

from pathlib import Path

from app.checkpoints import store
from app.checkpoints.store import Checkpoint

_STORE = Path(__file__).parents[1] / "models_store"


def shipped_checkpoint() -> Checkpoint:
    """The service's own for urban sound, with the default window."""
    return store.load(_STORE, "urban-sound", "hann")
