"""What is compiled of a checkpoint beside the network that answers, when it is first asked for."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.store import Checkpoint, DamagedCheckpointError, ModelKey, key_of

T = TypeVar("T")


class CompiledCache(Generic[T]):
    """One compiled thing for each checkpoint, made when it is first asked for."""

    def __init__(self, root: Path, compile_checkpoint: Callable[[Checkpoint], T]) -> None:
        """Compile nothing yet.

        Args:
            root: the store.
            compile_checkpoint: raises CheckpointError, or RuntimeError where OpenVINO cannot read
                or compile the network.
        """
        self._root = root
        self._compile_checkpoint = compile_checkpoint
        self._compiled: dict[ModelKey, tuple[Card, T]] = {}
        self._compiling = threading.Lock()

    def get(self, card: Card) -> T:
        """Return what was compiled of the checkpoint with this card.

        Raises:
            MissingCheckpointError, DamagedCheckpointError: the store no longer holds it as it
                was, or its network cannot be compiled.
        """
        key = key_of(card)
        with self._compiling:
            known = self._compiled.get(key)
            if known is not None and _is_same_network(known[0], card):
                return known[1]
            compiled = self._compile(card)
            self._compiled[key] = (card, compiled)
            return compiled

    def forget(self, key: ModelKey) -> None:
        """Release what was compiled of a checkpoint that serves no longer."""
        with self._compiling:
            self._compiled.pop(key, None)

    def _compile(self, card: Card) -> T:
        key = key_of(card)
        checkpoint = store.load(self._root, key)
        if not _is_same_network(checkpoint.card, card):
            raise DamagedCheckpointError(
                f"{key}: the store now holds version {checkpoint.card.version}, "
                f"this server answers with {card.version} until it is told to reload"
            )
        try:
            return self._compile_checkpoint(checkpoint)
        except RuntimeError as error:
            raise DamagedCheckpointError(
                f"{key}: {store.MODEL} cannot be compiled: {str(error).splitlines()[0]}"
            ) from error


def _is_same_network(one: Card, other: Card) -> bool:
    """Return whether two cards are of the same network; metrics may have been added."""
    return (one.version, one.files) == (other.version, other.files)
