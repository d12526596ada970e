"""How the settings want checkpoints to be loaded."""

from functools import partial

from app.inference.engine import MAX_BATCH_SIZE
from app.inference.engines import make_engine
from app.inference.instrumentation import NULL_INSTRUMENTATION, Instrumentation
from app.inference.registry import Key, Loading
from app.settings import Settings


def loading(settings: Settings, instrumentation: Instrumentation = NULL_INSTRUMENTATION) -> Loading:
    """The engine, how much it is given at a time, and who is told of it."""
    return Loading(
        make_engine=partial(
            make_engine, name=settings.engine, streams=settings.streams, cache=settings.cache_dir
        ),
        # Each request offers one block at a time.
        max_waiting=settings.max_requests * MAX_BATCH_SIZE,
        streams=settings.streams,
        instrumentation=instrumentation,
    )


def is_preloaded(key: Key, settings: Settings) -> bool:
    """Whether a checkpoint is loaded before anyone asks for it."""
    _, window = key
    return settings.preload == "all" or (settings.preload == "default" and window == "hann")
