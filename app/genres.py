"""The library of example recordings: one folder for each genre."""

from dataclasses import dataclass
from pathlib import Path

_SUFFIXES = {".wav", ".flac", ".aiff", ".aif", ".ogg", ".opus", ".mp3", ".m4a", ".mp4", ".webm"}


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

    def titles(self) -> dict[str, list[str]]:
        """The recordings of each genre by name, in the order that `find` counts them."""
        return {
            genre: [title(path) for path in _recordings(self.root / genre)]
            for genre in self.genres()
        }

    def find(self, genre: str, clip: int) -> Path:
        """The recording number `clip`, from 1, of `genre`.

        Raises GenreError when it is not in the library.
        """
        genres = self.genres()
        if genre not in genres:
            raise GenreError(
                f"unknown genre {genre!r}; accepted: {', '.join(genres) or 'none, it is empty'}"
            )
        recordings = _recordings(self.root / genre)
        if not 1 <= clip <= len(recordings):
            raise GenreError(f"{genre} has the clips 1 to {len(recordings)}, got {clip}")
        return recordings[clip - 1]


def title(path: Path) -> str:
    """What a recording is called."""
    return path.stem.replace("_", " ")


def _recordings(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
