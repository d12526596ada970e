"""The checkpoints of a store: loaded when they are wanted, released when they are not."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from app.audio.windows import WindowName
from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.errors import CheckpointError, DamagedCheckpointError, MissingCheckpointError
from app.checkpoints.labels import TaskName
from app.inference.batcher import Batcher
from app.inference.classifier import Classifier
from app.inference.engine import BATCH, Engine
from app.inference.names import CheckpointStatus

log = logging.getLogger(__name__)

Key = tuple[TaskName, WindowName]


@dataclass(frozen=True)
class Loading:
    """How checkpoints are made ready to answer."""

    make_engine: Callable[[store.Checkpoint], Engine]
    max_waiting: int
    """clips that may wait for one network"""
    streams: int
    """batches that one network works on at the same time"""


@dataclass
class Entry:
    """One checkpoint of the store, as far as it is known."""

    card: Card | None = None
    error: CheckpointError | None = None
    classifier: Classifier | None = None
    used: float = 0.0
    """when it was last asked for, by the monotonic clock"""
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def status(self) -> CheckpointStatus:
        """Whether it answers at once, after loading, or not at all."""
        if self.error is not None:
            return "failed"
        return "available" if self.classifier is None else "loaded"


class Models:
    """The checkpoints of a store. For one event loop."""

    def __init__(self, root: Path, loading: Loading) -> None:
        """Read the cards; a checkpoint that is damaged does not stop the others."""
        self._root = root
        self._loading = loading
        self.entries: dict[Key, Entry] = {}
        try:
            present = store.present(root)
        except OSError as error:
            log.error("the store %s cannot be read: %s", root, error)
            present = []
        for key in present:
            try:
                self.entries[key] = Entry(card=store.read_card(root, *key))
            except CheckpointError as error:
                log.error("checkpoint not loaded: %s", error)
                self.entries[key] = Entry(error=error)

    async def get(self, task: TaskName, window: WindowName) -> Classifier:
        """The classifier for a task and window, loaded first if it was not.

        Raises:
            DamagedCheckpointError: it is in the store but cannot be loaded.
            MissingCheckpointError: it is not in the store.
        """
        entry = self.entries.get((task, window))
        if entry is None:
            windows = [name for other, name in self.entries if other == task]
            raise MissingCheckpointError(
                f"the store has no checkpoint for {task} with the {window} window; "
                f"it has: {', '.join(windows) or 'none for this task'}"
            )
        entry.used = time.monotonic()
        if entry.classifier is not None:
            return entry.classifier
        async with entry.loading:
            return await self._load(entry, task, window)

    async def preload(self, keys: Iterable[Key]) -> None:
        """Load the named checkpoints of those that are here; failures are kept and logged."""
        for key in keys:
            if key in self.entries:
                with contextlib.suppress(CheckpointError):
                    await self.get(*key)

    def release_unused(self, seconds: float) -> None:
        """Forget the networks that nobody asked for during the last `seconds`.

        Requests that still hold one are answered.
        """
        oldest = time.monotonic() - seconds
        for (task, window), entry in self.entries.items():
            if entry.classifier is not None and entry.used < oldest:
                log.info("released %s/%s: unused for %g s", task, window, seconds)
                entry.classifier = None

    async def _load(self, entry: Entry, task: TaskName, window: WindowName) -> Classifier:
        # Another request may have loaded it, or failed to, while this one waited.
        if entry.error is not None:
            raise entry.error
        if entry.classifier is None:
            try:
                entry.classifier = await asyncio.to_thread(self._make, task, window)
            except CheckpointError as error:
                log.error("checkpoint not loaded: %s", error)
                entry.error = error
                raise
        return entry.classifier

    def _make(self, task: TaskName, window: WindowName) -> Classifier:
        checkpoint = store.load(self._root, task, window)
        try:
            engine = self._loading.make_engine(checkpoint)
        except RuntimeError as error:
            raise DamagedCheckpointError(
                f"{task}/{window}: {store.MODEL} cannot be compiled: {str(error).splitlines()[0]}"
            ) from error
        batcher = Batcher(
            engine,
            max_batch=BATCH,
            max_waiting=self._loading.max_waiting,
            streams=self._loading.streams,
        )
        return Classifier(checkpoint.card, batcher)
