"""`earshot classify`: say what is in many recordings, asking a service or without one."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import httpx
from anyio.from_thread import start_blocking_portal
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from app.checkpoints.store import CheckpointError
from app.decoding.errors import AudioError
from app.decoding.formats import SUFFIXES
from earshot.schemas import Classification
from earshot.client import Client, EarshotError
from earshot.formats import FORMATS, Answered, Failed, Outcome

# Keeps a connection and a few processors busy without flooding a service.
_AT_ONCE = 4

Recognise = Callable[[Path], Classification]


def run(options: argparse.Namespace) -> None:
    """Write what is in `options.files` to stdout, and to stderr why that cannot be said of some.

    Raises SystemExit with status 1 where there are such, or with a message where none can be.
    """
    if options.store is not None and not options.local:
        sys.exit("earshot: --store goes with --local; a service has a store of its own")
    paths = list(find(options.files))
    failures: list[Failed] = []
    recogniser = _local(options) if options.local else _remote(options)
    try:
        with recogniser as recognise, _progress() as progress:
            outcomes = progress.track(_outcomes(recognise, paths), total=len(paths), description="")
            for text in FORMATS[options.format](_reported(outcomes, failures)):
                sys.stdout.write(text)
    except CheckpointError as error:
        sys.exit(f"earshot: {error}")
    if failures:
        sys.exit(1)


def find(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files of `paths` and, for a folder, the recordings below it, sorted.

    Recordings are known by the suffixes of the accepted formats; hidden files are none. A
    folder without any is yielded itself.
    """
    for path in paths:
        found = sorted(_recordings(path)) if path.is_dir() else []
        yield from found or [path]


def _recordings(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("[!.]*"):
        if path.suffix.lower() in SUFFIXES and not path.is_dir():
            yield path


@contextmanager
def _remote(options: argparse.Namespace) -> Iterator[Recognise]:
    with Client(options.server, api_key=options.api_key) as client:
        yield partial(client.classify, options.task, window=options.window, top_k=options.top_k)


@contextmanager
def _local(options: argparse.Namespace) -> Iterator[Recognise]:
    """Answer as the service does, on an event loop in a thread of its own.

    Raises CheckpointError when the checkpoint cannot be loaded.
    """
    # Heavy, the network's runtime and all: who asks a service needs none of it.
    from app.inference.recognition import Wanted, recognise  # noqa: PLC0415
    from app.inference.registry import Models  # noqa: PLC0415
    from app.loading import loading  # noqa: PLC0415
    from app.settings import Settings  # noqa: PLC0415

    settings = Settings()
    models = Models(options.store or settings.models_dir, loading(settings))
    with start_blocking_portal() as portal:
        classifier = portal.call(models.get, options.task, options.window)

        def answer(path: Path) -> Classification:
            work = partial(
                recognise,
                classifier,
                path.read_bytes(),
                Wanted(options.top_k),
                max_seconds=settings.max_seconds,
                on_thread=anyio.to_thread.run_sync,
                bounds=settings.bounds,
            )
            return portal.call(work)

        yield answer


def _outcomes(recognise: Recognise, paths: Sequence[Path]) -> Iterator[Outcome]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(partial(_outcome, recognise), paths)


def _outcome(recognise: Recognise, path: Path) -> Outcome:
    # Names need not be text; what is shown of them has to be.
    name = os.fsencode(path).decode(errors="backslashreplace")
    if path.is_dir():
        return Failed(name, "there are no recordings in this folder")
    try:
        return Answered(name, recognise(path))
    except EarshotError as error:
        return Failed(name, error.problem.detail)
    except httpx.TransportError as error:
        return Failed(name, f"the service does not answer: {error or type(error).__name__}")
    except OSError as error:
        return Failed(name, error.strerror or str(error))
    except AudioError as error:
        return Failed(name, str(error))


def _reported(outcomes: Iterable[Outcome], failures: list[Failed]) -> Iterator[Outcome]:
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            failures.append(outcome)
            sys.stderr.write(f"earshot: {outcome.file}: {outcome.error}\n")
        yield outcome


def _progress() -> Progress:
    """A bar on stderr, where that is a terminal."""
    return Progress(
        *Progress.get_default_columns(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
        # Answers on the same terminal go above the bar; elsewhere they are left alone.
        redirect_stdout=sys.stdout.isatty(),
    )
