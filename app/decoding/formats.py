"""The formats that are accepted, as people are told and as files are named."""

ACCEPTED_FORMATS = (
    "WAV, FLAC, AIFF, Ogg (Vorbis, Opus, FLAC), MP3, M4A/MP4 (AAC, ALAC), AAC and WebM"
)

_SOUND = (".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav")
_VIDEO = (".3gp", ".m4v", ".mkv", ".mov", ".mp4", ".webm")  # of which the sound track is read
SUFFIXES = _SOUND + _VIDEO
"""in lower case"""


def is_mp4_or_webm(data: bytes) -> bool:
    """Whether the first bytes are an MP4 `ftyp` box or an EBML header (WebM, Matroska)."""
    return data[4:8] == b"ftyp" or data[:4] == b"\x1a\x45\xdf\xa3"


def is_mpeg_audio(data: bytes) -> bool:
    """Whether the first bytes are an ID3v2 tag, or those of an MP3 or AAC frame."""
    return data[:3] == b"ID3" or (data[:1] == b"\xff" and data[1:2] >= b"\xe0")
