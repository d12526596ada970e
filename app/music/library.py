"""The library of example recordings: one folder for each genre."""

from dataclasses import dataclass
from pathlib import Path

from app.decoding.formats import SUFFIXES

LONGEST_SECONDS = 600.0
"""duration of the longest recording that is read"""


class GenreError(ValueError):
    """No such genre, or no such clip of it; the message says which there are."""


@dataclass(frozen=True)
class GenreLibrary:
    """Recordings below `root`, found anew on each look."""

    root: Path

    def genres(self) -> list[str]:
        """Names of the genres that have at least one recording, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(path.name for path in self.root.iterdir() if _recordings(path))

    def recordings(self, genre: str) -> list[Path]:
        """The recordings of `genre`, sorted by name.

        Raises GenreError when it is not in the library.
        """
        genres = self.genres()
        if genre not in genres:
            raise GenreError(
                f"unknown genre {genre!r}; accepted: {', '.join(genres) or 'none, it is empty'}"
            )
        return _recordings(self.root / genre)

    def find(self, genre: str, clip: int) -> Path:
        """The recording number `clip`, from 1, of `genre`.

        Raises GenreError when it is not in the library.
        """
        recordings = self.recordings(genre)
        if not 1 <= clip <= len(recordings):
            raise GenreError(f"{genre} has the clips 1 to {len(recordings)}, got {clip}")
        return recordings[clip - 1]


def title_of(recording: Path) -> str:
    """What a recording is called."""
    return recording.stem.replace("_", " ")


def _recordings(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
