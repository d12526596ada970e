"""The parts of a request's time."""

import pytest

from app.decoding.errors import EmptyAudioError
from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader
from bench.costs import make_empty_wav, split_cpu_time


@pytest.mark.parametrize("size", [706_000, 705_646])
def test_a_file_without_sound_is_as_large_as_asked_and_refused_for_just_that(size: int) -> None:
    data = make_empty_wav(size)
    assert len(data) == size
    with pytest.raises(EmptyAudioError, match="holds no sound"):
        RecordingReader(AudioLimits()).read(data, sample_rate=16_000)


def test_parts_add_up_to_the_whole() -> None:
    parts = split_cpu_time(6.0, 1.5, {"network": 2.5, "decoding": 1.0})
    assert sum(parts.values()) == pytest.approx(6.0)
    assert list(parts.values())[-1] == pytest.approx(1.0)
