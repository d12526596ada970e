"""The audio formats that the service accepts, and how files of sound are named."""

from pathlib import PurePath

ACCEPTED_FORMATS = (
    "WAV, FLAC, AIFF, Ogg (Vorbis, Opus, FLAC), MP3, M4A/MP4 (AAC, ALAC), AAC and WebM"
)
AUDIO_SUFFIXES = (
    *(".aac", ".aif", ".aifc", ".aiff", ".flac", ".m4a", ".mka", ".mp3", ".oga", ".ogg", ".opus"),
    *(".w64", ".wav", ".wave", ".weba"),
    # Of videos, the sound track is read.
    *(".3gp", ".m4v", ".mkv", ".mov", ".mp4", ".webm"),
)
"""in lower case"""

# Folders that systems put beside people's own: of archives, network drives and bins.
_SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information"}
)


def is_recording(path: PurePath) -> bool:
    """Return whether a file, by its path below a folder of people's own, is a recording of theirs.

    It has one of `AUDIO_SUFFIXES`, in upper or lower case, and is not the system's.
    """
    return path.suffix.lower() in AUDIO_SUFFIXES and not is_hidden(path)


def is_hidden(path: PurePath) -> bool:
    """Return whether a file is the system's: `._x.wav`, `.Trash-1000/x.wav`, `__MACOSX/x.wav`."""
    return any(part.startswith(".") or part.lower() in _SYSTEM_FOLDERS for part in path.parts)
