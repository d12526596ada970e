"""The audio formats that the service accepts, as people read them and as files are named."""

ACCEPTED_FORMATS = (
    "WAV, FLAC, AIFF, Ogg (Vorbis, Opus, FLAC), MP3, M4A/MP4 (AAC, ALAC), AAC and WebM"
)
AUDIO_SUFFIXES = (
    *(".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav"),
    # Of videos, the sound track is read.
    *(".3gp", ".m4v", ".mkv", ".mov", ".mp4", ".webm"),
)
"""in lower case"""
