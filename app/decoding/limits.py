"""Limits of the recordings that are accepted."""

from dataclasses import dataclass

from app.decoding.errors import AudioTooLongError, UnsupportedAudioError
from app.decoding.source import AudioMetadata


@dataclass(frozen=True)
class AudioLimits:
    """Limits of a recording's duration, channels and sample rate.

    A block holds as many samples of each channel, so that memory grows with the channels; and
    a rate far below any that is in use makes a small file a long recording.
    """

    max_seconds: float = 3600.0
    max_channels: int = 32
    min_sample_rate: int = 4_000
    """Hz"""
    max_sample_rate: int = 768_000
    """Hz"""
    max_samples: int = 3600 * 48_000 * 2
    """of all channels together: they are what decoding takes time for"""

    def require_duration(self, seconds: float, metadata: AudioMetadata) -> None:
        """Raise AudioTooLongError for more seconds, or samples in them, than are accepted."""
        if seconds > self.max_seconds:
            raise AudioTooLongError(
                f"the recording is longer than the {self.max_seconds:g} s that are accepted"
            )
        rate, channels = metadata.sample_rate, metadata.channels
        if seconds * rate * channels > self.max_samples:
            raise AudioTooLongError(
                f"the recording has more than the {self.max_samples} samples that are accepted, "
                f"which are {self.max_samples / rate / channels:.0f} s in {channels} channels "
                f"at {rate} Hz"
            )

    def require_layout(self, *, channels: int, sample_rate: int) -> None:
        """Raise UnsupportedAudioError for a number of channels or a rate out of range."""
        if channels > self.max_channels:
            raise UnsupportedAudioError(
                f"the recording has {channels} channels; at most {self.max_channels} are accepted"
            )
        if not self.min_sample_rate <= sample_rate <= self.max_sample_rate:
            raise UnsupportedAudioError(
                f"the recording has a sample rate of {sample_rate} Hz; "
                f"{self.min_sample_rate} to {self.max_sample_rate} Hz are accepted"
            )
