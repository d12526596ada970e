"""The checkpoints of a store: loaded on demand, released when idle, replaced when changed."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.store import (
    CheckpointError,
    DamagedCheckpointError,
    MissingCheckpointError,
    ModelKey,
    UnknownTaskError,
)
from app.decoding.recording import RecordingReader
from app.inference import EngineConfig
from app.inference.batcher import Batcher
from app.inference.classifier import Classifier, RunInThread
from app.inference.engine import MAX_BATCH_SIZE, Engine, make_engine, smoke_test
from app.inference.instrumentation import Instrumentation, NullInstrumentation
from earshot.schemas import CheckpointStatus

log = logging.getLogger(__name__)

DEFAULT_NAME = "hann"
"""the checkpoint of a task that answers when a request names none, where the task has it"""


class UnknownCheckpointError(MissingCheckpointError):
    """The task has no checkpoint of this name; the message lists those that it has."""

    problem_type = "invalid-parameter"


@dataclass
class ModelEntry:
    """One checkpoint of the store, as far as it is known."""

    card: Card | None = None
    error: CheckpointError | None = None
    refusal: CheckpointError | None = None
    """why the store's new version does not take the place of the one in memory"""
    classifier: Classifier | None = None
    last_used: float = 0.0
    """when it was last asked for, by the monotonic clock"""
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def status(self) -> CheckpointStatus:
        """Whether it answers at once, after loading, or not at all."""
        if self.error is not None:
            return "failed"
        return "available" if self.classifier is None else "loaded"


@dataclass(frozen=True)
class ReloadResult:
    """The checkpoints that a reload changed."""

    replaced: list[ModelKey]
    added: list[ModelKey]
    removed: list[ModelKey]
    refused: dict[ModelKey, CheckpointError]
    """where the store's new version is unfit; the one in memory goes on"""


class ModelRegistry:
    """The checkpoints of a store. For one event loop."""

    def __init__(
        self,
        root: Path,
        config: EngineConfig,
        *,
        reader: RecordingReader,
        run_in_thread: RunInThread,
        instrumentation: Instrumentation | None = None,
        make_engine: Callable[[store.Checkpoint], Engine] | None = None,
    ) -> None:
        """Read the cards; a checkpoint that is damaged does not stop the others.

        Args:
            root: the store.
            config: how the networks run.
            reader: opens the recordings that are classified.
            run_in_thread: takes work off the event loop.
            instrumentation: records what the networks do.
            make_engine: makes the engine of a checkpoint; None: as `config` says.
        """
        self._root = root
        self._config = config
        self._reader = reader
        self._run_in_thread = run_in_thread
        self._instrumentation = instrumentation or NullInstrumentation()
        self._make_engine = make_engine or self._make_configured_engine
        self._reloading = asyncio.Lock()
        self.entries: dict[ModelKey, ModelEntry] = {}
        try:
            keys = store.list_checkpoints(root)
        except OSError as error:
            log.error("the store %s cannot be read: %s", root, error)
            keys = []
        for key in keys:
            try:
                self.entries[key] = ModelEntry(card=store.read_card(root, key))
            except CheckpointError as error:
                log.error("checkpoint not loaded: %s", error)
                self.entries[key] = ModelEntry(error=error)

    @property
    def tasks(self) -> list[str]:
        """The tasks of the store, sorted."""
        return sorted({key.task for key in self.entries})

    def names(self, task: str) -> list[str]:
        """Return the names of the checkpoints of a task, sorted.

        Raises UnknownTaskError when there is no such task.
        """
        names = sorted(key.name for key in self.entries if key.task == task)
        if not names:
            raise UnknownTaskError(
                f"there is no task {task!r}; there are: "
                f"{', '.join(self.tasks) or 'none, the store holds no checkpoints'}"
            )
        return names

    def resolve(self, task: str, name: str | None) -> ModelKey:
        """Return the key of a checkpoint; without a name, of the one that answers by default.

        Raises:
            UnknownTaskError: the store has no such task.
            UnknownCheckpointError: the task has no checkpoint of this name.
        """
        names = self.names(task)
        if name is None:
            return ModelKey(task, DEFAULT_NAME if DEFAULT_NAME in names else names[0])
        if name not in names:
            raise UnknownCheckpointError(
                f"{task} has no checkpoint {name!r}; accepted: {', '.join(names)}"
            )
        return ModelKey(task, name)

    async def get(self, key: ModelKey) -> Classifier:
        """Return the classifier of a checkpoint, which is loaded first if it was not.

        Raises:
            DamagedCheckpointError: it is in the store but cannot be loaded.
            MissingCheckpointError: it is not in the store.
        """
        entry = self.entries.get(key)
        if entry is None:
            raise MissingCheckpointError(f"the store has no checkpoint {key}")
        entry.last_used = time.monotonic()
        if entry.classifier is not None:
            return entry.classifier
        async with entry.loading:
            return await self._load(entry, key)

    async def preload(self, keys: Iterable[ModelKey]) -> None:
        """Load these checkpoints; failures are kept and logged."""
        for key in keys:
            with contextlib.suppress(CheckpointError):
                await self.get(key)

    def release_idle(self, seconds: float) -> None:
        """Release the networks that nobody asked for during the last `seconds`.

        Requests that still hold one are answered. One that the store no longer has is kept.
        """
        oldest = time.monotonic() - seconds
        for key, entry in self.entries.items():
            is_idle = entry.classifier is not None and entry.last_used < oldest
            if is_idle and entry.refusal is None:
                log.info("released %s: idle for %g s", key, seconds)
                entry.classifier = None
        self._record_loaded()

    async def reload(self) -> ReloadResult:
        """Take over the present contents of the store, all at once.

        Whatever is new or has another card is loaded, its hashes are verified and its network
        passes a smoke test while the old one still serves; one that fails is refused, and the
        old one goes on. Requests that hold an old one are answered by it.

        Raises MissingCheckpointError, and changes nothing, where the store holds no checkpoints
        any more: a volume that is not mounted looks like that.
        """
        async with self._reloading:
            cards = await asyncio.to_thread(self._read_cards)
            if self.entries and not cards:
                raise MissingCheckpointError(
                    f"the store {self._root.name} holds no checkpoints any more; "
                    "those that were there go on"
                )
            entries: dict[ModelKey, ModelEntry] = {}
            result = ReloadResult([], [], [key for key in self.entries if key not in cards], {})
            for key, card in cards.items():
                entries[key] = await self._reloaded_entry(key, card, result)
            self.entries = entries
        self._record_loaded()
        for change in ("replaced", "added", "removed"):
            for key in getattr(result, change):
                log.info("%s %s", change, key)
        return result

    def _read_cards(self) -> dict[ModelKey, Card | CheckpointError]:
        cards: dict[ModelKey, Card | CheckpointError] = {}
        for key in store.list_checkpoints(self._root):
            try:
                cards[key] = store.read_card(self._root, key)
            except CheckpointError as error:
                cards[key] = error
        return cards

    async def _reloaded_entry(
        self, key: ModelKey, card: Card | CheckpointError, result: ReloadResult
    ) -> ModelEntry:
        """Return the entry for a checkpoint of the store; note it in `result` if it changed."""
        old = self.entries.get(key)
        if old is not None and old.error is None and old.card == card:
            old.refusal = None
            return old
        try:
            if isinstance(card, CheckpointError):
                raise card
            classifier = await asyncio.to_thread(self._make_classifier, key)
        except CheckpointError as error:
            log.error("checkpoint refused: %s", error)
            result.refused[key] = error
            if old is None or old.classifier is None:
                return ModelEntry(error=error)
            old.refusal = error
            return old
        (result.added if old is None else result.replaced).append(key)
        return ModelEntry(card=classifier.card, classifier=classifier, last_used=time.monotonic())

    async def _load(self, entry: ModelEntry, key: ModelKey) -> Classifier:
        # Another request may have loaded it, or failed to, while this one waited.
        if entry.error is not None:
            raise entry.error
        if entry.classifier is None:
            try:
                entry.classifier = await asyncio.to_thread(self._make_classifier, key)
                entry.card = entry.classifier.card
            except CheckpointError as error:
                log.error("checkpoint not loaded: %s", error)
                entry.error = error
                raise
            self._record_loaded()
        return entry.classifier

    def _make_classifier(self, key: ModelKey) -> Classifier:
        checkpoint = store.load(self._root, key)
        try:
            engine = self._make_engine(checkpoint)
        except RuntimeError as error:
            raise DamagedCheckpointError(
                f"{key}: {store.MODEL} cannot be compiled: {str(error).splitlines()[0]}"
            ) from error
        smoke_test(engine, checkpoint.card)
        batcher = Batcher(
            engine,
            max_batch=MAX_BATCH_SIZE,
            max_queued=self._config.max_requests * MAX_BATCH_SIZE,
            streams=self._config.streams,
            instrumentation=self._instrumentation,
        )
        return Classifier(
            checkpoint.card, batcher, self._reader, self._run_in_thread, self._instrumentation
        )

    def _make_configured_engine(self, checkpoint: store.Checkpoint) -> Engine:
        config = self._config
        return make_engine(
            checkpoint, config.engine, streams=config.streams, cache=config.cache_dir
        )

    def _record_loaded(self) -> None:
        loaded = sum(entry.status == "loaded" for entry in self.entries.values())
        self._instrumentation.set_loaded(loaded)
