"""How the settings want checkpoints to be loaded."""

from functools import partial

from app.inference.engine import BATCH
from app.inference.engines import make_engine
from app.inference.instrumentation import NOBODY, Observer
from app.inference.registry import Key, Loading
from app.settings import Settings


def loading(settings: Settings, observer: Observer = NOBODY) -> Loading:
    """The engine, how much it is given at a time, and who is told of it."""
    return Loading(
        make_engine=partial(
            make_engine, name=settings.engine, streams=settings.streams, cache=settings.cache_dir
        ),
        # Each request offers one block at a time.
        max_waiting=settings.max_requests * BATCH,
        streams=settings.streams,
        observer=observer,
    )


def is_preloaded(key: Key, settings: Settings) -> bool:
    """Whether a checkpoint is loaded before anyone asks for it."""
    _, window = key
    return settings.preload == "all" or (settings.preload == "default" and window == "hann")
