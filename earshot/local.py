"""Classification in this process, without a service. Needs a checkout of Earshot."""

import asyncio
import threading
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from earshot.checkout import require

require("app")

import app.inference.classifier
from app.checkpoints.store import CheckpointError
from app.decoding.errors import AudioError
from app.decoding.recording import RecordingReader
from app.inference.classifier import ClassifyOptions
from app.inference.registry import ModelRegistry
from app.settings import InvalidSettingsError, load_settings
from earshot.responses import OnProgress
from earshot.schemas import Classification
from earshot.uploads import AudioFile, open_upload

__all__ = ["AudioError", "CheckpointError", "Classifier", "InvalidSettingsError"]


class Classifier:
    """Classifies recordings with one checkpoint, as the service does.

    Safe to use from many threads. Close it, or use `with`, to release the network before the
    process ends.
    """

    def __init__(
        self, task: str, checkpoint: str | None = None, *, store: str | Path | None = None
    ) -> None:
        """Load the checkpoint.

        Args:
            task: a task of the store.
            checkpoint: its name; None: the one that the service would use.
            store: folder of checkpoints; None: EARSHOT_MODELS_DIR, or the checkout's own.

        Raises:
            CheckpointError: there is no such checkpoint, or it cannot be loaded.
            InvalidSettingsError: a variable `EARSHOT_*` is not accepted; a ValueError.
        """
        started: Future[_Running] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(_run(task, checkpoint, store, started)),
            name=f"earshot-{task}",
            daemon=True,  # so that one that was not closed does not keep the process
        )
        self._thread.start()
        self._running = started.result()

    def classify(
        self,
        audio: AudioFile,
        *,
        top_k: int = 3,
        hop_seconds: float | None = None,
        min_segment_seconds: float = 0.0,
        on_progress: OnProgress | None = None,
    ) -> Classification:
        """Classify a recording; see `Client.classify`.

        Raises:
            AudioError: the recording cannot be classified; a ValueError.
            OSError: the path cannot be read.
        """
        if not self._thread.is_alive():
            raise RuntimeError("the classifier is closed")
        with open_upload(audio) as upload:
            data = b"".join(upload.chunks())
        options = ClassifyOptions(top_k, hop_seconds, min_segment_seconds)
        work = self._running.classifier.classify_recording(data, options, on_progress)
        return asyncio.run_coroutine_threadsafe(work, self._running.loop).result()

    def close(self) -> None:
        """Release the network; recordings that are being classified are given up."""
        if self._thread.is_alive():
            self._running.loop.call_soon_threadsafe(self._running.stop.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Running(NamedTuple):
    """The event loop of a classifier's thread, and what lives on it."""

    loop: asyncio.AbstractEventLoop
    classifier: app.inference.classifier.Classifier
    stop: asyncio.Event


async def _run(
    task: str, checkpoint: str | None, store: str | Path | None, started: Future[_Running]
) -> None:
    try:
        settings = load_settings()
        registry = ModelRegistry(
            Path(store or settings.models_dir),
            settings.engine_config,
            reader=RecordingReader(settings.audio_limits),
            run_in_thread=asyncio.to_thread,
        )
        classifier = await registry.get(registry.resolve(task, checkpoint))
    except BaseException as error:
        started.set_exception(error)
        return
    stop = asyncio.Event()
    started.set_result(_Running(asyncio.get_running_loop(), classifier, stop))
    await stop.wait()
