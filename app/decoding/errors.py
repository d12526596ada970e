"""What can be wrong with a recording. Every message says what was found and what is accepted."""


class AudioError(ValueError):
    """A recording that cannot be classified; the base of all that this package raises for one."""


class UnsupportedAudioError(AudioError):
    """The bytes are in no format that is accepted."""


class CorruptAudioError(AudioError):
    """The format is accepted, but the file is damaged or ends too early."""


class DecoderFailedError(AudioError):
    """The decoder broke down over the file, or needed more time or memory than it has."""


class NotYetError(Exception):
    """The recording needs a decoder, and has to wait for its turn."""


class EmptyAudioError(AudioError):
    """The file, or the sound in it, has no length."""


class AudioTooLongError(AudioError):
    """The recording is longer than the service takes."""


class SilentAudioError(AudioError):
    """Nothing can be heard in the recording."""


class InvalidSamplesError(AudioError):
    """Samples are NaN, infinite or absurdly large."""
