"""Decoded recordings, kept in a cache by the content of their files."""

import hashlib
import logging
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from app.decoding.errors import AudioError
from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader
from training.corpora import LabeledRecording

log = logging.getLogger(__name__)

_FULL_SCALE = 32_767
READER = RecordingReader(AudioLimits(max_seconds=600.0))
"""of all recordings that are trained or tested on"""
_LOCK_SECONDS = 60.0

_FileState = tuple[str, int, int]
"""path, size in bytes, time of change in ns"""


class Waveforms:
    """The samples of decoded recordings; index it by `LabeledRecording`."""

    def __init__(self, files: Mapping[Path, Path]) -> None:
        """Read nothing yet; `files` is path of a recording -> file of its samples."""
        self._files = files

    def __contains__(self, recording: LabeledRecording) -> bool:
        return recording.path in self._files

    def __getitem__(self, recording: LabeledRecording) -> NDArray[np.float32]:
        """Return the samples of `recording`: mono, float32 in -1..1, shape `[samples]`."""
        samples = np.fromfile(self.file(recording), np.int16)
        return samples.astype(np.float32) / np.float32(_FULL_SCALE)

    def file(self, recording: LabeledRecording) -> Path:
        """Return the file of the samples of `recording`."""
        return self._files[recording.path]


def readable(
    recordings: Sequence[LabeledRecording], waveforms: Waveforms
) -> list[LabeledRecording]:
    """Return those of `recordings` that could be decoded."""
    return [recording for recording in recordings if recording in waveforms]


def group_copies(
    recordings: Sequence[LabeledRecording], waveforms: Waveforms
) -> list[list[LabeledRecording]]:
    """Return the groups of two recordings or more that hold the same samples, in their order.

    They need not be the same files: one may have other tags, or another lossless format.
    """
    by_file: dict[Path, list[LabeledRecording]] = defaultdict(list)
    for recording in recordings:
        by_file[waveforms.file(recording)].append(recording)
    by_size: dict[int, list[Path]] = defaultdict(list)
    for file in by_file:
        by_size[file.stat().st_size].append(file)
    by_content: dict[str, list[LabeledRecording]] = defaultdict(list)
    for files in by_size.values():
        for file in files:
            # Alone of its size, it is like no other.
            key = _sha256(file) if len(files) > 1 else str(file)
            by_content[key] += by_file[file]
    return [copies for copies in by_content.values() if len(copies) > 1]


def decode_all(
    recordings: Sequence[LabeledRecording], *, sample_rate: int, cache: Path
) -> Waveforms:
    """Decode recordings to 16-bit samples, or take them from `cache`.

    The same bytes are decoded once for each sample rate, whichever lists and files they are in.
    They are hashed again only where a path, a size or a time of change is new. Commands that run
    at the same time can share a cache.

    A recording that cannot be decoded, or is silent, is told as a warning and left out; see
    `readable`.

    Raises OSError when the cache cannot be written.
    """
    paths = list(dict.fromkeys(recording.path for recording in recordings))
    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        hashes = _hash_all(paths, cache / "index.sqlite", pool)
        first_of = {digest: path for path, digest in reversed(hashes.items())}
        targets = {
            digest: cache / f"{sample_rate}" / digest[:2] / f"{digest}.s16" for digest in first_of
        }
        missing = [d for d, target in targets.items() if not _is_decoded(target)]
        decoding = pool.map(
            lambda digest: _decode(first_of[digest], targets[digest], sample_rate), missing
        )
        for _ in track(decoding, description="decoding", total=len(missing)):
            pass
    files = {}
    for path, digest in hashes.items():
        if targets[digest].exists():
            files[path] = targets[digest]
        else:
            log.warning("left out %s: %s", path, _error_file(targets[digest]).read_text("utf-8"))
    return Waveforms(files)


def _hash_all(paths: Sequence[Path], index: Path, pool: ThreadPoolExecutor) -> dict[Path, str]:
    """Return the SHA-256 of each file that can be read, and remember it in `index`."""
    states = {path: state for path in paths if (state := _state(path)) is not None}
    with _open_index(index) as database:
        rows = database.execute("SELECT path, size, changed, sha256 FROM files")
        known = {(path, size, changed): digest for path, size, changed, digest in rows}
        new = [path for path, state in states.items() if state not in known]
        hashed = dict(zip(new, pool.map(_sha256, new), strict=True))
        database.executemany(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
            [(*states[path], digest) for path, digest in hashed.items()],
        )
    return {path: hashed.get(path) or known[state] for path, state in states.items()}


@contextmanager
def _open_index(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS)) as database, database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS files "
                "(path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, sha256 TEXT)"
            )
            yield database
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from error


def _state(path: Path) -> _FileState | None:
    try:
        status = path.stat()
        with path.open("rb"):
            pass
    except OSError as error:
        log.warning("left out %s: %s", path, error)
        return None
    return str(path.absolute()), status.st_size, status.st_mtime_ns


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_decoded(target: Path) -> bool:
    return target.exists() or _error_file(target).exists()


def _error_file(target: Path) -> Path:
    return target.with_suffix(".error")


def _decode(path: Path, target: Path, sample_rate: int) -> None:
    """Write the samples of a recording to `target`, or why there are none beside it."""
    try:
        samples = READER.read(path.read_bytes(), sample_rate=sample_rate).samples
    except AudioError as error:
        target, content = _error_file(target), str(error).encode()
    else:
        content = np.round(samples.clip(-1, 1) * _FULL_SCALE).astype(np.int16).tobytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    # Another command may be writing the same: whole files take each other's place.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as folder:
        new = Path(folder) / target.name
        new.write_bytes(content)
        new.replace(target)
