"""The checkpoints of a store, loaded and ready to answer."""

import logging
from collections.abc import Mapping
from pathlib import Path

from app.audio.windows import WindowName
from app.checkpoints import store
from app.checkpoints.errors import CheckpointError, DamagedCheckpointError, MissingCheckpointError
from app.checkpoints.labels import TaskName
from app.inference.classifier import Classifier
from app.inference.engine import OpenVinoEngine

log = logging.getLogger(__name__)

Key = tuple[TaskName, WindowName]


class Models:
    """What was loaded, and why the rest was not."""

    def __init__(
        self, loaded: Mapping[Key, Classifier], failed: Mapping[Key, CheckpointError]
    ) -> None:
        self.loaded = loaded
        self.failed = failed

    def get(self, task: TaskName, window: WindowName) -> Classifier:
        """The classifier for a task and window.

        Raises:
            DamagedCheckpointError: it is in the store but could not be loaded.
            MissingCheckpointError: it is not in the store.
        """
        key = (task, window)
        if key in self.loaded:
            return self.loaded[key]
        if key in self.failed:
            raise self.failed[key]
        windows = [name for other, name in self.loaded if other == task]
        raise MissingCheckpointError(
            f"this server has no checkpoint for {task} with the {window} window; "
            f"it has: {', '.join(windows) or 'none for this task'}"
        )


def load_models(root: Path) -> Models:
    """Load every checkpoint of the store; one that is damaged does not stop the others."""
    loaded: dict[Key, Classifier] = {}
    failed: dict[Key, CheckpointError] = {}
    try:
        present = store.present(root)
    except OSError as error:
        log.error("the store %s cannot be read: %s", root, error)
        present = []
    for task, window in present:
        try:
            loaded[task, window] = load_classifier(root, task, window)
        except CheckpointError as error:
            log.error("checkpoint not loaded: %s", error)
            failed[task, window] = error
    return Models(loaded, failed)


def load_classifier(root: Path, task: TaskName, window: WindowName) -> Classifier:
    """Load one checkpoint of the store.

    Raises CheckpointError when it is missing or damaged.
    """
    checkpoint = store.load(root, task, window)
    try:
        engine = OpenVinoEngine(checkpoint.model)
    except RuntimeError as error:
        raise DamagedCheckpointError(
            f"{task}/{window}: {store.MODEL} cannot be compiled: {str(error).splitlines()[0]}"
        ) from error
    return Classifier(checkpoint.card, engine)
