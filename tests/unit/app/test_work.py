"""How much work an answer takes, by counting: clocks differ from machine to machine."""

import asyncio
import sys
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from app.audio.log_mel import log_mel
from app.decoding.limits import AudioLimits
from app.decoding.recording import MonoStream, RecordingReader
from app.inference.batcher import Batcher
from app.inference.classifier import Classifier, ClassifyOptions
from app.inference.engine import MAX_BATCH_SIZE
from tests.support.cards import CARD
from tests.support.sounds import encode, make

LOG_MEL = CARD.input
LIMITS = AudioLimits(max_seconds=600)


class Counter:
    """An engine that keeps the sizes of its batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def infer(self, spectrograms: np.ndarray) -> np.ndarray:
        self.batches.append(len(spectrograms))
        return np.zeros((len(spectrograms), CARD.output_size), np.float32)


def batches_of(recordings: list[bytes]) -> list[int]:
    """Classify recordings at the same time; returns what the network was given."""
    engine = Counter()

    async def classify() -> None:
        batcher = Batcher(engine, max_batch=MAX_BATCH_SIZE, max_queued=1000, streams=1)
        classifier = Classifier(CARD, batcher, RecordingReader(LIMITS), asyncio.to_thread)
        work = (classifier.classify_recording(data, ClassifyOptions()) for data in recordings)
        await asyncio.gather(*work)
        batcher.close()

    asyncio.run(classify())
    return engine.batches


def peak_bytes(work: Callable[[], object]) -> int:
    """The most that `work` has allocated at a time, once it has run before."""
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def calls(work: Callable[[], object]) -> int:
    """How many functions `work` calls, Python's own ones too, once it has run before."""
    work()
    count = 0

    def tell(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tell)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def decode(data: bytes) -> None:
    for _ in MonoStream(data, 16_000, LIMITS).blocks():
        pass


@pytest.mark.parametrize("clips", [1, 8, 9, 21])
def test_a_recording_fills_batches_and_no_clip_is_asked_for_twice(clips: int) -> None:
    seconds = LOG_MEL.clip_seconds + (clips - 1) * LOG_MEL.clip_hop_seconds
    whole, rest = divmod(clips, MAX_BATCH_SIZE)
    recording = encode(make("siren", 1, seconds), 16_000)
    assert batches_of([recording]) == [MAX_BATCH_SIZE] * whole + [rest] * (rest > 0)


def test_a_spectrogram_is_made_without_needless_copies() -> None:
    clip = make("siren", 1, LOG_MEL.clip_seconds)
    frames = LOG_MEL.frames * LOG_MEL.n_fft * 4  # bytes: the windowed frames
    # Beside them their spectrum, which is complex, and its power: 2.51 was seen.
    assert peak_bytes(lambda: log_mel(clip, LOG_MEL)) < 2.75 * frames


def test_decoding_holds_blocks_and_not_the_recording() -> None:
    def peak(seconds: float) -> int:
        data = encode(make("siren", 1, seconds), 44_100)
        return peak_bytes(lambda: decode(data))

    # 2.2 and 2.9 MB were seen; of the longer one, the samples alone are 21 MB.
    assert peak(120) < 1.5 * peak(30)


def test_a_block_of_pcm_is_decoded_by_as_many_calls_whatever_its_length() -> None:
    second, four = (encode(make("siren", 1, seconds), 44_100) for seconds in (1, 4))
    # By libsndfile's own conversion, the longer one took 24 more.
    assert calls(lambda: decode(four)) == calls(lambda: decode(second))
