"""`earshot classify`: classify many recordings, asking a service or without one."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx

from earshot.audio_formats import is_recording
from earshot.checkout import MissingPackagesError
from earshot.client import Client
from earshot.errors import EarshotError
from earshot.output_formats import FORMATS, TIMELINE_FORMATS, Failure, Result, Success
from earshot.schemas import Classification
from earshot.uploads import AudioFile

# Keeps a connection and a few processors busy without flooding a service.
_CONCURRENCY = 4
_CLEAR_LINE = "\r\x1b[K"
STDIN = Path("-")
"""stands for standard input"""
_NONE_CLASSIFIED = 3
"""exit status"""
# Refusals that every other file would meet too.
_SERVICE_STATUSES = frozenset(
    {
        *(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND),
        *(HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.TOO_MANY_REQUESTS),
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
_PARAMETER = "/problems/invalid-parameter"

ClassifyFile = Callable[[Path], Classification]
"""raises _FileError, or OSError, for a file that cannot be classified"""


class _FileError(Exception):
    """One file cannot be classified; the message says why."""


class _ServiceError(Exception):
    """The service classifies no file as it is asked to; the message says why."""


def run(options: argparse.Namespace) -> None:
    """Write the labels of `options.files` to stdout, and why a file has none to stderr.

    Raises SystemExit: with status 1 where some files have none, with 3 where none has any, and
    with a message where nothing can be asked.
    """
    if options.store is not None and not options.local:
        sys.exit("earshot: --store goes with --local; a service has a store of its own")
    paths = list(find_recordings(options.files))
    if paths.count(STDIN) > 1:
        sys.exit("earshot: standard input can be read only once; give - once")
    if options.format == "audacity" and len(paths) > 1:
        sys.exit(f"earshot: a label track of Audacity is of one recording, got {len(paths)}")
    # On a terminal, the counter would be written over lines of JSON and CSV.
    counts = sys.stderr.isatty() and (options.format == "table" or not sys.stdout.isatty())
    failures: list[Failure] = []
    with _local(options) if options.local else _remote(options) as classify_file:
        results = _classify_files(classify_file, paths)
        reported = _report(results, len(paths), failures, counts=counts)
        formats = TIMELINE_FORMATS if options.timeline else FORMATS
        for text in formats[options.format](reported):
            sys.stdout.write(text)
    if len(failures) == len(paths) > 1:
        sys.stderr.write(f"earshot: none of the {len(paths)} files was classified\n")
    if failures:
        sys.exit(_NONE_CLASSIFIED if len(failures) == len(paths) else 1)


def find_recordings(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files of `paths` and, for a folder, the recordings below it, sorted.

    What is one is told by `is_recording`. A folder without any is yielded itself.
    """
    for path in paths:
        found = sorted(_recordings(path)) if path.is_dir() else []
        yield from found or [path]


def _recordings(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if is_recording(path.relative_to(folder)) and not path.is_dir():
            yield path


@contextmanager
def _remote(options: argparse.Namespace) -> Iterator[ClassifyFile]:
    with Client(options.server, api_key=options.api_key) as client:

        def classify_file(path: Path) -> Classification:
            try:
                return client.classify(
                    options.task,
                    _source(path),
                    checkpoint=options.checkpoint,
                    window=options.window,
                    top_k=options.top_k,
                    hop_seconds=options.hop_seconds,
                    min_segment_seconds=options.min_segment_seconds,
                )
            except EarshotError as error:
                problem = error.problem
                is_of_service = problem.status in _SERVICE_STATUSES or problem.type == _PARAMETER
                kind = _ServiceError if is_of_service else _FileError
                raise kind(problem.detail) from error
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
                where = f"the service at {options.server} does not answer"
                raise _ServiceError(f"{where}: {reason}") from error

        yield classify_file


@contextmanager
def _local(options: argparse.Namespace) -> Iterator[ClassifyFile]:
    """Classify in this process; raise SystemExit when that cannot be done here."""
    try:
        # Heavy, the network's runtime and all: who asks a service needs none of it.
        from earshot import local  # noqa: PLC0415
    except MissingPackagesError as error:
        sys.exit(f"earshot: --local: {error}")
    try:
        classifier = local.Classifier(
            options.task, options.checkpoint or options.window, store=options.store
        )
    except (local.CheckpointError, local.InvalidSettingsError) as error:
        sys.exit(f"earshot: {error}")
    with classifier:

        def classify_file(path: Path) -> Classification:
            try:
                return classifier.classify(
                    _source(path),
                    top_k=options.top_k,
                    hop_seconds=options.hop_seconds,
                    min_segment_seconds=options.min_segment_seconds,
                )
            except local.AudioError as error:
                raise _FileError(str(error)) from error

        yield classify_file


def _source(path: Path) -> AudioFile:
    return sys.stdin.buffer if path == STDIN else path


def _classify_files(classify_file: ClassifyFile, paths: Sequence[Path]) -> Iterator[Result]:
    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        yield from pool.map(partial(_result, classify_file), paths)


def _result(classify_file: ClassifyFile, path: Path) -> Result:
    # Names need not be text; what is shown of them has to be.
    name = os.fsencode(path).decode(errors="backslashreplace")
    if path.is_dir():
        return Failure(name, "there are no recordings in this folder")
    try:
        return Success(name, classify_file(path))
    except _FileError as error:
        return Failure(name, str(error))
    except _ServiceError as error:
        return Failure(name, str(error), is_of_service=True)
    except OSError as error:
        return Failure(name, error.strerror or str(error))


def _report(
    results: Iterable[Result], total: int, failures: list[Failure], *, counts: bool
) -> Iterator[Result]:
    """Yield the results, write each failure to stderr, and append it to `failures`.

    With `counts`, stderr is a terminal and shows how many there are.

    Raises SystemExit where the service refuses the first file as it would refuse all others.
    """
    clear = _CLEAR_LINE if counts else ""
    try:
        for done, result in enumerate(results, start=1):
            if isinstance(result, Failure):
                if result.is_of_service and done == 1:
                    sys.stderr.write(f"{clear}earshot: {result.error}\n")
                    sys.exit(_NONE_CLASSIFIED)
                failures.append(result)
                sys.stderr.write(f"{clear}earshot: {result.file}: {result.error}\n")
            if counts:
                sys.stderr.write(f"{clear}{done}/{total} files")
                sys.stderr.flush()
            yield result
    finally:
        sys.stderr.write(clear)
