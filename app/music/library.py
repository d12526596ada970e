"""The gallery of example recordings: one folder for each genre."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from earshot.audio_formats import AUDIO_SUFFIXES

MAX_SECONDS = 600.0
"""duration of the longest recording that is read"""


class GenreError(ValueError):
    """The gallery has no such genre, or no such track of it; the message lists those it has."""

    problem_type: ClassVar[str] = "invalid-parameter"


@dataclass(frozen=True)
class GenreLibrary:
    """The recordings below `root`, found anew at each call."""

    root: Path

    def list_genres(self) -> list[str]:
        """Return the names of the genres that have at least one recording, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(path.name for path in self.root.iterdir() if _recordings(path))

    def list_tracks(self, genre: str) -> list[Path]:
        """Return the recordings of `genre`, sorted by name.

        Raises GenreError when it is not in the gallery.
        """
        genres = self.list_genres()
        if genre not in genres:
            raise GenreError(
                f"unknown genre {genre!r}; accepted: {', '.join(genres) or 'none, it is empty'}"
            )
        return _recordings(self.root / genre)

    def find_track(self, genre: str, track: int) -> Path:
        """Return the recording number `track`, from 1, of `genre`.

        Raises GenreError when it is not in the gallery.
        """
        tracks = self.list_tracks(genre)
        if not 1 <= track <= len(tracks):
            raise GenreError(f"{genre} has the tracks 1 to {len(tracks)}, got {track}")
        return tracks[track - 1]


def track_title(path: Path) -> str:
    """Return the title of a recording, from its file name."""
    return path.stem.replace("_", " ")


def _recordings(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES)
