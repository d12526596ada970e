"""All clips of a run decoded once, to 16-bit samples in one memory-mapped file."""

import hashlib
import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from app.decoding.errors import AudioError
from app.decoding.recording import read_recording
from training.corpora.clip import Clip

log = logging.getLogger(__name__)

_FULL_SCALE = 32_767
_LONGEST_SECONDS = 600.0
_BATCH = 256


class Waveforms:
    """The decoded clips: index them by their `Clip`."""

    def __init__(self, samples: NDArray[np.int16], spans: dict[str, tuple[int, int]]) -> None:
        self._samples = samples
        self._spans = spans

    def __contains__(self, clip: Clip) -> bool:
        return str(clip.path) in self._spans

    def __getitem__(self, clip: Clip) -> NDArray[np.float32]:
        """Mono samples of `clip`, float32 in -1..1, shape `[samples]`."""
        start, stop = self._spans[str(clip.path)]
        return self._samples[start:stop].astype(np.float32) / np.float32(_FULL_SCALE)


def decode_all(clips: Sequence[Clip], *, sample_rate: int, cache: Path) -> Waveforms:
    """Decode `clips`, or take them from `cache` where the same files were decoded before.

    A clip that cannot be decoded (or is silent) is reported and left out; see `readable`.

    Raises OSError when the cache cannot be written.
    """
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"waveforms-{_fingerprint(clips, sample_rate)}"
    index = path.with_suffix(".json")
    if not index.exists():
        spans = _decode_to(path.with_suffix(".partial"), clips, sample_rate)
        path.with_suffix(".partial").replace(path)
        index.write_text(json.dumps(spans))
    spans = {name: (start, stop) for name, (start, stop) in json.loads(index.read_text()).items()}
    return Waveforms(np.memmap(path, dtype=np.int16, mode="r"), spans)


def readable(clips: Sequence[Clip], waveforms: Waveforms) -> list[Clip]:
    """Those of `clips` that could be decoded."""
    return [clip for clip in clips if clip in waveforms]


def _fingerprint(clips: Sequence[Clip], sample_rate: int) -> str:
    digest = hashlib.sha256(str(sample_rate).encode())
    for clip in clips:
        status = clip.path.stat()
        digest.update(f"{clip.path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _decode_to(path: Path, clips: Sequence[Clip], sample_rate: int) -> dict[str, tuple[int, int]]:
    def decode(clip: Clip) -> NDArray[np.int16] | None:
        try:
            recording = read_recording(
                clip.path.read_bytes(), sample_rate=sample_rate, max_seconds=_LONGEST_SECONDS
            )
        except (AudioError, OSError) as error:
            log.warning("left out %s: %s", clip.path, error)
            return None
        return np.round(recording.samples.clip(-1, 1) * _FULL_SCALE).astype(np.int16)

    spans: dict[str, tuple[int, int]] = {}
    position = 0
    batches = [clips[first : first + _BATCH] for first in range(0, len(clips), _BATCH)]
    with path.open("wb") as file, ThreadPoolExecutor() as pool:
        for batch in track(batches, description="decoding"):
            for clip, samples in zip(batch, pool.map(decode, batch), strict=True):
                if samples is None:
                    continue
                file.write(samples.tobytes())
                spans[str(clip.path)] = (position, position + samples.size)
                position += samples.size
    return spans
