"""The checkpoints of a store: loaded on demand, released when idle, replaced when changed."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
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
from app.inference.engine import MAX_BATCH_SIZE, Engine, OpenVinoEngine, make_engine
from app.inference.instrumentation import Instrumentation, NullInstrumentation
from app.inference.self_test import run_left_behind, self_test, smoke_test
from earshot.schemas import CheckpointStatus

log = logging.getLogger(__name__)

DEFAULT_NAME = "hann"
"""the checkpoint of a task that answers when a request names none, where the task has it and the
operator has named no other"""


class UnknownCheckpointError(MissingCheckpointError):
    """The task has no checkpoint of this name; the message lists those that it has."""

    problem_type = "invalid-parameter"


class NoEmbeddingError(CheckpointError):
    """The network of a checkpoint has no embedding; the message says why."""

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
        defaults: Mapping[str, str] | None = None,
        make_engine: Callable[[store.Checkpoint], Engine] | None = None,
    ) -> None:
        """Read the cards; a checkpoint that is damaged does not stop the others.

        Args:
            root: the store.
            config: how the networks run.
            reader: opens the recordings that are classified.
            run_in_thread: takes work off the event loop.
            instrumentation: records what the networks do.
            defaults: task -> checkpoint that answers when a request names none.
            make_engine: makes the engine of a checkpoint; None: as `config` says.
        """
        self._root = root
        self._config = config
        self._reader = reader
        self._run_in_thread = run_in_thread
        self._instrumentation = instrumentation or NullInstrumentation()
        self._defaults = defaults or {}
        self._make_engine = make_engine or self._make_configured_engine
        self._reloading = asyncio.Lock()
        self._preloaded: set[ModelKey] = set()
        self._unreadable: OSError | None = None
        self.entries: dict[ModelKey, ModelEntry] = {}
        try:
            keys = store.list_checkpoints(root)
        except OSError as error:
            self._unreadable = error
            keys = []
        for key in keys:
            try:
                self.entries[key] = ModelEntry(card=store.read_card(root, key))
            except CheckpointError as error:
                log.error("checkpoint not loaded: %s", error)
                self.entries[key] = ModelEntry(error=error)
        if not self.entries:
            log.warning("%s", self.why_not_ready)
        self._warn_of_missing_defaults()

    @property
    def why_not_ready(self) -> str | None:
        """Why no request can be answered, with the path of the store; None where one can be."""
        root = self._root.absolute()
        if not self.entries:
            if self._unreadable is not None:
                return f"the store {root} cannot be read: {self._unreadable.strerror}"
            if not root.is_dir():
                return f"the store {root} does not exist; EARSHOT_MODELS_DIR names another"
            return f"the store {root} holds no checkpoints; expected TASK/NAME/card.json below it"
        if all(entry.status == "failed" for entry in self.entries.values()):
            return f"no checkpoint of the store {root} can be loaded; GET /models tells why"
        return None

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
                f"there is no task {task[:100]!r}; there are: "
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
            preferred = (self._defaults.get(task), DEFAULT_NAME)
            return ModelKey(task, next((each for each in preferred if each in names), names[0]))
        if name not in names:
            raise UnknownCheckpointError(
                f"{task} has no checkpoint {name[:100]!r}; accepted: {', '.join(names)}"
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
        """Load these checkpoints, for good; failures are kept and logged."""
        for key in keys:
            self._preloaded.add(key)
            with contextlib.suppress(CheckpointError):
                await self.get(key)

    def release_idle(self, seconds: float) -> None:
        """Release the networks that nobody asked for during the last `seconds`.

        Requests that still hold one are answered. One that was preloaded is kept, and one that the
        store no longer has.
        """
        oldest = time.monotonic() - seconds
        for key, entry in self.entries.items():
            is_idle = entry.classifier is not None and entry.last_used < oldest
            if is_idle and entry.refusal is None and key not in self._preloaded:
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
        self._warn_of_missing_defaults()
        self._record_loaded()
        for change in ("replaced", "added", "removed"):
            for key in getattr(result, change):
                log.info("%s %s", change, key)
        return result

    def _warn_of_missing_defaults(self) -> None:
        for key in (ModelKey(task, name) for task, name in self._defaults.items()):
            if key not in self.entries:
                known = ", ".join(map(str, self.entries)) or "nothing"
                log.warning("the default checkpoint %s is not in the store: it has %s", key, known)

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
            classifier = await self._make_tested(key)
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
                entry.classifier = await self._make_tested(key)
                entry.card = entry.classifier.card
            except CheckpointError as error:
                log.error("checkpoint not loaded: %s", error)
                entry.error = error
                raise
            self._record_loaded()
        return entry.classifier

    async def _make_tested(self, key: ModelKey) -> Classifier:
        """Load a checkpoint, and have it answer a recording, within a deadline.

        Raises CheckpointError when it cannot, whatever its files make of that.
        """
        seconds = self._config.load_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                card, engine = await run_left_behind(partial(self._load_engine, key))
                await self_test(engine, card, self._run_in_thread)
        except TimeoutError:
            raise DamagedCheckpointError(
                f"{key}: it was not loaded and tested within {seconds:g} s"
            ) from None
        batcher = self._make_batcher(engine)
        return Classifier(card, batcher, self._reader, self._run_in_thread, self._instrumentation)

    def make_embedder(self, checkpoint: store.Checkpoint) -> Batcher:
        """Make what computes the embedding of a checkpoint's network, on the CPU.

        Raises:
            RuntimeError: OpenVINO cannot read or compile the network.
            NoEmbeddingError: the network has no embedding.
        """
        config = self._config
        try:
            engine = OpenVinoEngine(
                checkpoint.model, streams=config.streams, cache=config.cache_dir, embeds=True
            )
        except ValueError as error:
            raise NoEmbeddingError(f"{checkpoint.key} gives no embedding: {error}") from error
        return self._make_batcher(engine)

    def _make_batcher(self, engine: Engine) -> Batcher:
        return Batcher(
            engine,
            max_batch=MAX_BATCH_SIZE,
            max_queued=self._config.max_requests * MAX_BATCH_SIZE,
            streams=self._config.streams,
            instrumentation=self._instrumentation,
        )

    def _load_engine(self, key: ModelKey) -> tuple[Card, Engine]:
        checkpoint = store.load(self._root, key)
        try:
            engine = self._make_engine(checkpoint)
        except RuntimeError as error:
            raise DamagedCheckpointError(
                f"{key}: {store.MODEL} cannot be compiled: {str(error).splitlines()[0]}"
            ) from error
        smoke_test(engine, checkpoint.card)
        return checkpoint.card, engine

    def _make_configured_engine(self, checkpoint: store.Checkpoint) -> Engine:
        config = self._config
        return make_engine(
            checkpoint, config.engine, streams=config.streams, cache=config.cache_dir
        )

    def _record_loaded(self) -> None:
        loaded = sum(entry.status == "loaded" for entry in self.entries.values())
        self._instrumentation.set_loaded(loaded)
