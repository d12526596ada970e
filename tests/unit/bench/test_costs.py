"""What a request's time is made of."""

import pytest

from app.decoding.errors import EmptyAudioError
from app.decoding.recording import open_audio
from bench.costs import by_cost, without_sound


@pytest.mark.parametrize("size", [706_000, 705_646])
def test_a_file_without_sound_is_as_large_as_asked_and_refused_for_just_that(size: int) -> None:
    data = without_sound(size)
    assert len(data) == size
    with pytest.raises(EmptyAudioError, match="holds no sound"), open_audio(data):
        pass


def test_parts_add_up_to_the_whole() -> None:
    parts = by_cost(6.0, 1.5, {"network": 2.5, "decoding": 1.0})
    assert sum(parts.values()) == pytest.approx(6.0)
    assert list(parts.values())[-1] == pytest.approx(1.0)
