"""Whether a checkpoint can answer: what is found out before it serves."""

import asyncio
import io
import threading
import wave
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import numpy as np

from app.audio.network_inputs import InputConfig, input_shape
from app.checkpoints.card import Card
from app.checkpoints.store import DamagedCheckpointError, key_of
from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader
from app.inference.batcher import Batcher
from app.inference.classifier import Classifier, ClassifyOptions, RunInThread
from app.inference.engine import MAX_BATCH_SIZE, Engine

T = TypeVar("T")


def smoke_test(engine: Engine, card: Card) -> None:
    """Give the network a fixed input and check its output.

    Raises:
        DamagedCheckpointError: it cannot read inputs of the card's size, or its output is not one
            finite value for each of the card's outputs.
    """
    shape = (1, *input_shape(card.input))
    inputs = np.random.default_rng(0).standard_normal(shape, np.float32)
    key = key_of(card)
    try:
        outputs = engine.infer(inputs)
    except Exception as error:
        raise DamagedCheckpointError(
            f"{key}: the network fails at its smoke test: {_first_line(error)}"
        ) from error
    if outputs.shape != (1, card.output_size):
        raise DamagedCheckpointError(
            f"{key}: the network gives outputs of the shape {list(outputs.shape)}, "
            f"the card has {len(card.labels)} labels" + (" and an OOD score" if card.ood else "")
        )
    if not np.isfinite(outputs).all():
        raise DamagedCheckpointError(f"{key}: the network gives outputs that are not finite")


async def self_test(engine: Engine, card: Card, run_in_thread: RunInThread) -> None:
    """Have a network answer a recording of several clips, as for a request; nothing is recorded.

    Raises DamagedCheckpointError when it does not, or not with what can be answered.
    """
    batcher = Batcher(engine, max_batch=MAX_BATCH_SIZE, max_queued=MAX_BATCH_SIZE, streams=1)
    classifier = Classifier(card, batcher, RecordingReader(AudioLimits()), run_in_thread)
    try:
        answer = await classifier.classify_recording(
            _noise(card.input), ClassifyOptions(top_k=len(card.labels))
        )
    except Exception as error:
        raise DamagedCheckpointError(
            f"{key_of(card)}: it fails at its self-test: {_first_line(error)}"
        ) from error
    finally:
        batcher.close()
    total = sum(each.probability for each in answer.ranked)
    # Each is rounded, and of many labels most to nothing.
    if not 0.5 < total < 1.1:
        raise DamagedCheckpointError(
            f"{key_of(card)}: at its self-test its probabilities add up to {total:g}"
        )


async def run_left_behind(work: Callable[[], T]) -> T:
    """Run `work` on a thread of its own, which a cancelled call leaves behind.

    The process does not wait for it when it ends: nobody can stop a thread, and what a file
    makes of it may never end.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def resolve(result: T | None, error: Exception | None) -> None:
        if done.done():  # cancelled meanwhile
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # there is one where no error is

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(resolve, result, error)

    threading.Thread(target=run, name="left-behind", daemon=True).start()
    return await done


def _noise(config: InputConfig) -> bytes:
    """Return a WAV of two clips and a half, as the card has them follow each other."""
    seconds = config.clip_seconds + 1.5 * config.clip_hop_seconds
    samples = np.random.default_rng(0).integers(
        -3000, 3000, round(seconds * config.sample_rate), np.int16
    )
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(config.sample_rate)
        written.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
