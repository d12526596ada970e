"""Live sound: predictions for the last seconds of a stream that goes on."""

from collections.abc import AsyncIterator

import numpy as np
from numpy.typing import NDArray

from app.audio.clips import ClipConfig, pad_or_repeat
from app.audio.network_inputs import network_input
from app.audio.silence import is_silent
from app.decoding.recording import mono_resampler
from app.inference.classifier import (
    Classifier,
    RunInThread,
    label_probabilities,
    rank_labels,
    rejection_reasons,
)
from app.inference.instrumentation import Instrumentation, NullInstrumentation
from earshot.schemas import StreamPrediction

SAMPLE_BYTES = 2
"""of PCM"""
_FULL_SCALE = 32_768


class SlidingWindowBuffer:
    """Cuts PCM that comes in pieces into clips, one each hop."""

    def __init__(self, config: ClipConfig, *, sample_rate: int, hop_seconds: float) -> None:
        """Start empty.

        Args:
            config: length and sample rate of clips.
            sample_rate: of the PCM, Hz.
            hop_seconds: between the ends of neighbouring clips.
        """
        self._config = config
        self._hop = round(hop_seconds * config.sample_rate)
        self._resample = mono_resampler(sample_rate, config.sample_rate)
        self._held = np.empty(0, np.float32)
        self._received = 0
        self._next_end = self._hop  # sample at which the next clip ends

    def push(self, pcm: bytes) -> list[tuple[float, NDArray[np.float32]]]:
        """Append the next piece, and return the clips that end in it.

        Args:
            pcm: 16-bit little-endian samples of one channel.

        Returns:
            for each clip its end, in seconds since the beginning, and its samples. Before a whole
            clip was received, the samples so far are padded as the config says.

        Raises ValueError when half a sample is left over.
        """
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(_FULL_SCALE)
        resampled = self._resample(samples)
        self._held = np.concatenate([self._held, resampled])
        self._received += resampled.size
        length, rate = self._config.clip_samples, self._config.sample_rate
        clips = []
        while self._next_end <= self._received:
            end = self._held.size - (self._received - self._next_end)
            clip = self._held[max(0, end - length) : end]
            padded = pad_or_repeat(clip, length, self._config.padding)
            clips.append((self._next_end / rate, padded))
            self._next_end += self._hop
        # Of the next clip, all but its last hop was received already.
        self._held = self._held[-(length + self._hop) :]
        return clips


class StreamClassifier:
    """Classifies one live stream of PCM."""

    def __init__(
        self,
        classifier: Classifier,
        *,
        sample_rate: int,
        hop_seconds: float,
        top_k: int,
        run_in_thread: RunInThread,
        instrumentation: Instrumentation | None = None,
    ) -> None:
        """Start with an empty buffer.

        Args:
            classifier: of the checkpoint.
            sample_rate: of the PCM, Hz.
            hop_seconds: between predictions.
            top_k: labels to rank.
            run_in_thread: takes work off the event loop.
            instrumentation: records the stages.
        """
        self._classifier = classifier
        self._buffer = SlidingWindowBuffer(
            classifier.card.input, sample_rate=sample_rate, hop_seconds=hop_seconds
        )
        self._top_k = top_k
        self._run_in_thread = run_in_thread
        self._instrumentation = instrumentation or NullInstrumentation()

    async def classify_chunk(self, pcm: bytes) -> AsyncIterator[StreamPrediction]:
        """Append a chunk of 16-bit PCM, and yield a prediction for each hop that ends in it.

        Raises OverloadedError when too many clips wait for the network.
        """
        for end, clip in await self._run_in_thread(lambda: self._buffer.push(pcm)):
            yield await self._classify_clip(end, clip)

    async def _classify_clip(self, end: float, clip: NDArray[np.float32]) -> StreamPrediction:
        card = self._classifier.card
        features = await self._run_in_thread(lambda: self._features(clip))
        outputs = await self._classifier.infer(features[None])
        silent = np.array([is_silent(clip.min(), clip.max())])
        [reason] = rejection_reasons(outputs, silent, card, end)
        [probabilities] = label_probabilities(outputs, card, end)
        prediction = rank_labels(probabilities, reason, card.labels, self._top_k)
        return StreamPrediction(
            start=max(0.0, round(end - card.input.clip_seconds, 3)),
            end=round(end, 3),
            label=prediction.label,
            reason=reason,
            probability=prediction.probability,
            ranked=prediction.ranked,
        )

    def _features(self, clip: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._instrumentation.time_stage("features"):
            return network_input(clip, self._classifier.card.input)
