"""What recordings may be, to the last sample."""

import pytest

from app.decoding.errors import AudioTooLongError, UnsupportedAudioError
from app.decoding.limits import AudioLimits
from app.decoding.source import AudioMetadata

LIMITS = AudioLimits(
    max_seconds=10, max_channels=3, min_sample_rate=100, max_sample_rate=400, max_samples=4_000
)


def metadata(sample_rate: int, channels: int) -> AudioMetadata:
    return AudioMetadata(sample_rate, channels, "wav", None)


def test_seconds() -> None:
    LIMITS.require_duration(10, metadata(100, 1))
    with pytest.raises(
        AudioTooLongError, match=r"^the recording is longer than the 10 s that are accepted$"
    ):
        LIMITS.require_duration(10.01, metadata(100, 1))


def test_samples_of_all_channels() -> None:
    LIMITS.require_duration(5, metadata(400, 2))
    with pytest.raises(AudioTooLongError) as error:
        LIMITS.require_duration(5.01, metadata(400, 2))
    assert str(error.value) == (
        "the recording has more than the 4000 samples that are accepted, which are 5 s in "
        "2 channels at 400 Hz"
    )


def test_channels_and_rates() -> None:
    LIMITS.require_layout(channels=3, sample_rate=100)
    LIMITS.require_layout(channels=1, sample_rate=400)
    with pytest.raises(
        UnsupportedAudioError, match=r"^the recording has 4 channels; at most 3 are accepted$"
    ):
        LIMITS.require_layout(channels=4, sample_rate=100)
    for rate in (99, 401):
        with pytest.raises(UnsupportedAudioError) as error:
            LIMITS.require_layout(channels=1, sample_rate=rate)
        assert str(error.value) == (
            f"the recording has a sample rate of {rate} Hz; 100 to 400 Hz are accepted"
        )
