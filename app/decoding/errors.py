"""Why a recording cannot be classified. Every message says what was found and what is accepted.

AudioError
├── UnsupportedAudioError
├── CorruptAudioError
├── DecoderFailedError
├── EmptyAudioError
├── AudioTooLongError
├── SilentAudioError
└── InvalidSamplesError
"""

from typing import ClassVar


class AudioError(ValueError):
    """A recording cannot be classified; the base of all errors of this package."""

    problem_type: ClassVar[str]
    """key of `app.api.problem_types.PROBLEM_TYPES`"""


class UnsupportedAudioError(AudioError):
    """The bytes are in no accepted format."""

    problem_type = "unsupported-format"


class CorruptAudioError(AudioError):
    """The format is accepted, but the file is damaged or ends too early."""

    problem_type = "corrupt"


class DecoderFailedError(AudioError):
    """The decoder broke down over the file, or needed more time or memory than it has."""

    problem_type = "undecodable"


class EmptyAudioError(AudioError):
    """The file, or the sound in it, has no length."""

    problem_type = "empty"


class AudioTooLongError(AudioError):
    """The recording is longer than is accepted."""

    problem_type = "recording-too-long"


class SilentAudioError(AudioError):
    """Nothing can be heard in the recording."""

    problem_type = "silent"


class InvalidSamplesError(AudioError):
    """Samples are NaN, infinite or absurdly large."""

    problem_type = "invalid-samples"


class ReadingAbandonedError(Exception):
    """Nobody waits for the recording any more; raised where nobody hears of it."""
