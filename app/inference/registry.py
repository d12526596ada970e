"""The checkpoints of a store: loaded when wanted, released when not, replaced when changed."""

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
from app.inference.engine import MAX_BATCH_SIZE, Engine
from app.inference.instrumentation import NULL_INSTRUMENTATION, Instrumentation
from app.inference.names import CheckpointStatus
from app.inference.self_test import smoke_test

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
    instrumentation: Instrumentation = NULL_INSTRUMENTATION
    """is told what the networks do"""


@dataclass
class Entry:
    """One checkpoint of the store, as far as it is known."""

    card: Card | None = None
    error: CheckpointError | None = None
    refused: CheckpointError | None = None
    """why what the store holds by now does not take the place of what is in memory"""
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


@dataclass(frozen=True)
class Reloaded:
    """What became of each checkpoint that was not as before."""

    replaced: list[Key]
    added: list[Key]
    removed: list[Key]
    refused: dict[Key, CheckpointError]
    """where the store's is unfit; what was in memory before goes on"""


class Models:
    """The checkpoints of a store. For one event loop."""

    def __init__(self, root: Path, loading: Loading) -> None:
        """Read the cards; a checkpoint that is damaged does not stop the others."""
        self._root = root
        self._loading = loading
        self._reloading = asyncio.Lock()
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

        Requests that still hold one are answered. One that the store no longer has is kept.
        """
        oldest = time.monotonic() - seconds
        for (task, window), entry in self.entries.items():
            unused = entry.classifier is not None and entry.used < oldest
            if unused and entry.refused is None:
                log.info("released %s/%s: unused for %g s", task, window, seconds)
                entry.classifier = None
        self._tell_loaded()

    def _tell_loaded(self) -> None:
        loaded = sum(entry.status == "loaded" for entry in self.entries.values())
        self._loading.instrumentation.loaded(loaded)

    async def reload(self) -> Reloaded:
        """Take over what the store holds now, all at once.

        Whatever is new or has another card is loaded, its hashes are checked and its network
        answers a self-test while the old one still serves; one that fails is refused, and the
        old one goes on. Requests that hold an old one are answered by it.

        Raises MissingCheckpointError, and changes nothing, where the store holds none at all
        any more: a volume that is not mounted looks like that.
        """
        async with self._reloading:
            cards = await asyncio.to_thread(self._read_cards)
            if self.entries and not cards:
                raise MissingCheckpointError(
                    f"the store {self._root.name} holds no checkpoints any more; "
                    "those that were there go on"
                )
            entries: dict[Key, Entry] = {}
            found = Reloaded([], [], [key for key in self.entries if key not in cards], {})
            for key, card in cards.items():
                entries[key] = await self._renewed(key, card, found)
            self.entries = entries
        self._tell_loaded()
        for what in ("replaced", "added", "removed"):
            for task, window in getattr(found, what):
                log.info("%s %s/%s", what, task, window)
        return found

    def _read_cards(self) -> dict[Key, Card | CheckpointError]:
        cards: dict[Key, Card | CheckpointError] = {}
        for key in store.present(self._root):
            try:
                cards[key] = store.read_card(self._root, *key)
            except CheckpointError as error:
                cards[key] = error
        return cards

    async def _renewed(self, key: Key, card: Card | CheckpointError, found: Reloaded) -> Entry:
        """The entry for what the store has at `key`, noted in `found` where it is not as before."""
        old = self.entries.get(key)
        if old is not None and old.error is None and old.card == card:
            old.refused = None
            return old
        try:
            if isinstance(card, CheckpointError):
                raise card
            classifier = await asyncio.to_thread(self._make, *key)
        except CheckpointError as error:
            log.error("checkpoint refused: %s", error)
            found.refused[key] = error
            if old is None or old.classifier is None:
                return Entry(error=error)
            old.refused = error
            return old
        (found.added if old is None else found.replaced).append(key)
        return Entry(card=classifier.card, classifier=classifier, used=time.monotonic())

    async def _load(self, entry: Entry, task: TaskName, window: WindowName) -> Classifier:
        # Another request may have loaded it, or failed to, while this one waited.
        if entry.error is not None:
            raise entry.error
        if entry.classifier is None:
            try:
                entry.classifier = await asyncio.to_thread(self._make, task, window)
                entry.card = entry.classifier.card
            except CheckpointError as error:
                log.error("checkpoint not loaded: %s", error)
                entry.error = error
                raise
            self._tell_loaded()
        return entry.classifier

    def _make(self, task: TaskName, window: WindowName) -> Classifier:
        checkpoint = store.load(self._root, task, window)
        try:
            engine = self._loading.make_engine(checkpoint)
        except RuntimeError as error:
            raise DamagedCheckpointError(
                f"{task}/{window}: {store.MODEL} cannot be compiled: {str(error).splitlines()[0]}"
            ) from error
        smoke_test(engine, checkpoint.card)
        batcher = Batcher(
            engine,
            max_batch=MAX_BATCH_SIZE,
            max_waiting=self._loading.max_waiting,
            streams=self._loading.streams,
            instrumentation=self._loading.instrumentation,
        )
        return Classifier(checkpoint.card, batcher, self._loading.instrumentation)
