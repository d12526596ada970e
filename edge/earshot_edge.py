#!/usr/bin/env python3
"""Classify recordings by a student of Earshot, with nothing but NumPy and ONNX Runtime.

    python earshot_edge.py model.onnx recording.wav [...]
    arecord -q -t raw -f S16_LE -r 16000 -c 1 | python earshot_edge.py model.onnx -

The file is whole: copy it to the board beside a `models_store/TASK/edge/model.onnx`. The graph
computes its spectrogram itself; labels, limits and temperatures are in its metadata. Answers are
those of the service's checkpoint `edge`.
"""

import argparse
import json
import math
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Array = NDArray[np.float32]

MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 4_000, 768_000
MAX_CHANNELS = 32
SILENCE = 10 ** (-80 / 20)
"""samples that swing by less are silent"""
MIN_TAIL_FRACTION = 1 / 64
"""of a clip, below which the rest of a recording is no clip of its own"""
CANCELLED = 0.1
"""of the power that channels should add up to: a mix with less has lost them"""
PIECE = 1 << 16
"""samples over which channels are compared"""
PARTS = 8
"""of a clip, each of which may be silent"""
ZERO_CROSSINGS = 24
"""of the resampler's sinc, on either side"""
ROLL_OFF = 0.945
"""of the lower Nyquist frequency, where the resampler's band ends"""


class AudioError(ValueError):
    """A recording cannot be classified; the message says what would be right."""


class Classifier:
    """A student: 16 kHz samples of one clip in, a probability for each label out."""

    def __init__(self, model: str | Path) -> None:
        """Load the graph; raise ValueError when it is none of Earshot's students."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_mem_pattern = False  # all clips are alike, and memory is dearer than time
        self._session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        facts = self._session.get_modelmeta().custom_metadata_map
        if "labels" not in facts:
            raise ValueError(f"{model}: not a student of Earshot (models_store/TASK/edge)")
        self.labels = facts["labels"].split("\n")
        self.sample_rate = int(facts["sample_rate"])
        self._clip = int(facts["clip_samples"])
        self._hop = int(facts["clip_hop_samples"])
        self._repeats = facts["padding"] == "repeat"
        self._temperature = float(facts["temperature"])
        self._shortest = float(facts.get("shortest_seconds", 0))
        lines = facts.get("temperatures", "").splitlines()
        self._temperatures = [tuple(map(float, line.split())) for line in lines]
        self._threshold = float(facts.get("ood_threshold", -math.inf))
        self._ood_reason = facts.get("ood_reason")

    def classify(self, samples: Array, sample_rate: int) -> dict[str, Any]:
        """Classify a recording.

        Args:
            samples: in -1..1, `[samples]` or `[samples, channels]`.
            sample_rate: Hz.

        Returns:
            `label`, None where there is a `reason`: `silent`, `too_short`, or that of the task
            for sounds that it knows nothing of; `probability` of the label; and `probabilities`,
            label -> probability, of the recording as a whole.

        Raises AudioError when there are no samples, or they are not finite, or the rate or the
        number of channels is out of range.
        """
        mono = to_mono(samples, sample_rate)
        seconds = mono.size / sample_rate
        flat = is_silent(mono)
        mono = resample(mono, sample_rate, self.sample_rate)
        clips = list(self._clips(mono))
        outputs = [
            self._session.run(["probabilities", "logits"], {"waveform": c[None]}) for c in clips
        ]
        probabilities = self._soften(np.concatenate([each[0] for each in outputs]), seconds)
        reasons = [
            self._reason(clip, each[1][0], seconds, flat)
            for clip, each in zip(clips, outputs, strict=True)
        ]
        labelled = np.array([reason is None for reason in reasons])
        mean = probabilities[labelled if labelled.any() else slice(None)].mean(axis=0)
        reason = aggregate(reasons, [is_partially_silent(clip) for clip in clips])
        best = int(mean.argmax())
        return {
            "label": None if reason else self.labels[best],
            "reason": reason,
            "probability": 0.0 if reason else round(float(mean[best]), 4),
            "probabilities": dict(
                zip(self.labels, mean.astype(float).round(4).tolist(), strict=True)
            ),
        }

    def _clips(self, samples: Array) -> Iterator[Array]:
        if samples.size <= self._clip:
            missing = self._clip - samples.size
            yield np.resize(samples, self._clip) if self._repeats else np.pad(samples, (0, missing))
            return
        start = 0
        while start + self._clip <= samples.size:
            yield samples[start : start + self._clip]
            start += self._hop
        if samples.size - (start - self._hop) - self._clip >= self._clip * MIN_TAIL_FRACTION:
            yield samples[-self._clip :]

    def _soften(self, probabilities: Array, seconds: float) -> Array:
        """Calibrate for a recording shorter than a clip: its temperature is another."""
        if not self._temperatures:
            return probabilities
        known = [*self._temperatures, (self._clip / self.sample_rate, self._temperature)]
        temperature = np.interp(
            math.log(max(seconds, 1e-9)), np.log([s for s, _ in known]), [t for _, t in known]
        )
        powers = np.maximum(probabilities, 1e-30) ** np.float32(self._temperature / temperature)
        softened: Array = powers / powers.sum(axis=1, keepdims=True)
        return softened

    def _reason(self, clip: Array, logits: Array, seconds: float, flat: bool) -> str | None:
        if flat or is_silent(clip):
            return "silent"
        if seconds < self._shortest:
            return "too_short"
        return self._ood_reason if logits[-1] < self._threshold else None


def aggregate(clips: list[str | None], partially_silent: list[bool]) -> str | None:
    """Return why a recording of these clips has no label, or None if it has one."""
    audible = [pair for pair in zip(clips, partially_silent, strict=True) if pair[0] != "silent"]
    if not audible:
        return "silent"
    counted = [reason for reason, partly in audible if not partly] or [r for r, _ in audible]
    reasons = [reason for reason in counted if reason is not None]
    return reasons[0] if 2 * len(reasons) > len(counted) else None


def is_silent(samples: Array) -> bool:
    """Return whether nothing can be heard; a constant level is no sound."""
    return bool((float(samples.max()) - float(samples.min())) / 2 < SILENCE)


def is_partially_silent(clip: Array) -> bool:
    """Return whether an eighth of a clip or more, but not all of it, is silent."""
    return not is_silent(clip) and any(map(is_silent, np.array_split(clip, PARTS)))


def to_mono(samples: Array, sample_rate: int) -> Array:
    """Mix channels: their mean, or the loudest where they cancel each other.

    Raises AudioError where the recording cannot be classified.
    """
    if samples.size == 0:
        raise AudioError("the recording is empty")
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise AudioError(
            f"the recording has a sample rate of {sample_rate} Hz; "
            f"{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz are accepted"
        )
    if not np.isfinite(samples).all():
        raise AudioError("the recording has samples that are NaN or infinite")
    if samples.ndim == 1:
        return samples
    channels = samples.shape[1]
    if channels > MAX_CHANNELS:
        raise AudioError(
            f"the recording has {channels} channels; at most {MAX_CHANNELS} are accepted"
        )
    mono: Array = samples.mean(axis=1, dtype=np.float32)
    for start in range(0, len(samples), PIECE):
        piece = samples[start : start + PIECE]
        powers, mixed = piece.var(axis=0), mono[start : start + PIECE].var()
        is_faint = mixed < SILENCE**2 / 2 <= powers.max()
        if is_faint or mixed * channels < CANCELLED * powers.mean():
            mono[start : start + PIECE] = piece[:, int(powers.argmax())]
    return mono


def resample(samples: Array, old: int, new: int) -> Array:
    """Resample by a sinc under a Kaiser window, with a filter for each place between samples."""
    if old == new:
        return samples
    divisor = math.gcd(old, new)
    up, down = new // divisor, old // divisor
    cutoff = ROLL_OFF * min(1.0, new / old)
    half = math.ceil(ZERO_CROSSINGS / cutoff)
    offsets = np.arange(-half, half + 1)
    count = max(1, samples.size * up // down)
    padded = np.pad(samples, half)
    resampled = np.empty(count, np.float32)
    for phase in range(min(up, count)):
        # All outputs of a phase lie `down` samples apart and have the same filter.
        start, fraction = divmod(phase * down, up)
        distance = fraction / up - offsets
        kernel = cutoff * np.sinc(cutoff * distance) * kaiser(distance / (half + 1))
        outputs = resampled[phase::up]
        outputs[:] = 0
        for tap, weight in enumerate((kernel / kernel.sum()).astype(np.float32)):
            part = padded[start + tap :: down][: outputs.size]
            outputs[: part.size] += weight * part
    return resampled


def kaiser(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Kaiser window (beta 10) at places in -1..1, 0 beyond."""
    window: NDArray[np.float64] = np.i0(10 * np.sqrt(np.clip(1 - place**2, 0, 1))) / np.i0(10.0)
    return window


def read_wav(path: str) -> tuple[Array, int]:
    """Return the samples `[samples, channels]` of a WAV of 8 to 32 bits, and its rate.

    Raises AudioError when it is none.
    """
    try:
        with wave.open(path) as file:
            width, rate = file.getsampwidth(), file.getframerate()
            channels, data = file.getnchannels(), file.readframes(file.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise AudioError(f"{error}; a WAV of 8, 16, 24 or 32 bits is expected") from error
    raw = np.frombuffer(data[: len(data) // (width * channels) * width * channels], np.uint8)
    if width == 1:  # the only one without a sign
        values = raw.astype(np.float32) / 128 - 1
    else:
        padded = np.zeros((raw.size // width, 4), np.uint8)
        padded[:, 4 - width :] = raw.reshape(-1, width)
        values = padded.view("<i4")[:, 0].astype(np.float32) / np.float32(1 << 31)
    return values.reshape(-1, channels), rate


def listen(classifier: Classifier, stream: BinaryIO) -> Iterator[dict[str, Any]]:
    """Classify 16-bit samples at the classifier's rate as they come, a second at a time."""
    held = np.empty(0, np.float32)
    while data := stream.read(2 * classifier.sample_rate):
        heard = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / 32768
        held = np.concatenate([held, heard])[-classifier.sample_rate * 4 :]
        yield classifier.classify(held, classifier.sample_rate)


def show(answer: dict[str, Any]) -> None:
    """Write an answer as a line of JSON."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Classify what the command line names, a line of JSON each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("model", help="models_store/TASK/edge/model.onnx")
    parser.add_argument(
        "recordings", nargs="+", metavar="FILE", help="a WAV; -: samples of 16 bits"
    )
    options = parser.parse_args()
    classifier = Classifier(options.model)
    failed = False
    for name in options.recordings:
        if name == "-":
            for answer in listen(classifier, sys.stdin.buffer):
                show(answer)
            continue
        try:
            answer = {"file": name, **classifier.classify(*read_wav(name))}
        except AudioError as error:
            answer, failed = {"file": name, "error": str(error)}, True
        show(answer)
    sys.exit(failed)


if __name__ == "__main__":
    main()
