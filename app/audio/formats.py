"""The formats that are accepted, as people are told and as files are named."""

ACCEPTED_FORMATS = (
    "WAV, FLAC, AIFF, Ogg (Vorbis, Opus, FLAC), MP3, M4A/MP4 (AAC, ALAC), AAC and WebM"
)

_SOUND = (".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav")
_VIDEO = (".3gp", ".m4v", ".mkv", ".mov", ".mp4", ".webm")  # of which the sound track is read
SUFFIXES = _SOUND + _VIDEO
"""in lower case"""
