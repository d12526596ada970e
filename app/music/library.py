"""The gallery of example recordings: one folder for each genre."""

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import ClassVar

from earshot.audio_formats import is_hidden, is_recording


class GenreError(ValueError):
    """The gallery has no such genre, or no such track of it; the message lists those it has."""

    problem_type: ClassVar[str] = "invalid-parameter"


class TrackError(ValueError):
    """A track of the gallery cannot be read; the message says which and why."""

    problem_type: ClassVar[str] = "corrupt"


@dataclass(frozen=True)
class Track:
    """A recording of the gallery, as it was found."""

    path: Path
    genre: str
    number: int
    """within its genre, from 1"""
    size: int
    """bytes"""
    modified_ns: int
    error: str | None = None
    """why it cannot be read, where that is known"""

    @property
    def title(self) -> str:
        """The title, from the file's name."""
        return _printable(self.path.stem.replace("_", " "))

    def require_readable(self) -> None:
        """Raise TrackError where it cannot be read."""
        if self.error is not None:
            raise TrackError(f"{self.genre}, track {self.number}: {self.error}")


@dataclass(frozen=True)
class GenreLibrary:
    """The recordings below `root`, found anew at each call.

    They are regular files, in folders of `root` itself: no link is followed, to wherever it may
    lead, and nothing is opened that would have to be waited for.
    """

    root: Path
    max_bytes: int
    """of the largest file that is read"""

    def list_genres(self) -> list[str]:
        """Return the names of the genres that have at least one recording, sorted."""
        return sorted(name for name, folder in self._folders().items() if _audio_files(folder))

    def list_tracks(self, genre: str) -> list[Track]:
        """Return the recordings of `genre`, sorted by name, those that cannot be read too.

        Raises GenreError when it is not in the gallery.
        """
        folder = self._folders().get(genre)
        files = [] if folder is None else _audio_files(folder)
        if not files:
            accepted = ", ".join(self.list_genres()) or "none, it is empty"
            raise GenreError(f"unknown genre {genre[:100]!r}; accepted: {accepted}")
        return [self._describe(path, genre, number) for number, path in enumerate(files, start=1)]

    def find_track(self, genre: str, number: int) -> Track:
        """Return the recording `number`, from 1, of `genre`.

        Raises:
            GenreError: it is not in the gallery.
            TrackError: it cannot be read.
        """
        tracks = self.list_tracks(genre)
        if not 1 <= number <= len(tracks):
            raise GenreError(f"{genre} has the tracks 1 to {len(tracks)}, got {number}")
        track = tracks[number - 1]
        track.require_readable()
        return track

    def read(self, track: Track) -> bytes:
        """Return the content of a track's file.

        Raises TrackError when it is not a regular file, too large, or cannot be read.
        """
        track.require_readable()
        try:
            # It may be another file by now: one that is a link, or has to be waited for.
            descriptor = os.open(track.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor has no path
                status = os.fstat(descriptor)
                replace(track, error=self._error(status)).require_readable()
                return file.read(status.st_size)
        except OSError as error:
            raise TrackError(f"{track.genre}, track {track.number}: {_reason(error)}") from error

    def _folders(self) -> dict[str, Path]:
        try:
            with os.scandir(self.root) as entries:
                folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            return {}
        return {
            _printable(entry.name): Path(entry.path)
            for entry in folders
            if not is_hidden(PurePath(entry.name))
        }

    def _describe(self, path: Path, genre: str, number: int) -> Track:
        try:
            status = path.lstat()
        except OSError as error:
            return Track(path, genre, number, 0, 0, _reason(error))
        return Track(path, genre, number, status.st_size, status.st_mtime_ns, self._error(status))

    def _error(self, status: os.stat_result) -> str | None:
        """Return why a file with this status is not read, None where it is."""
        if not stat.S_ISREG(status.st_mode):
            return "it is not a regular file"
        if status.st_size > self.max_bytes:
            return f"it has {status.st_size} bytes; at most {self.max_bytes} are read"
        return None


def _audio_files(folder: Path) -> list[Path]:
    """Return what is named as sound is, whatever it is; nothing where that cannot be known."""
    try:
        names = os.listdir(folder)  # noqa: PTH208  # a path would be made of each
    except OSError:
        return []
    return [folder / name for name in sorted(names) if is_recording(PurePath(name))]


def _printable(name: str) -> str:
    """Return a name as it can be shown: not all that a file may be called is text."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name)


def _reason(error: OSError) -> str:
    return f"it cannot be read: {error.strerror}"
