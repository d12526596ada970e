import numpy as np
import pytest

from app.audio.clips import clip_starts
from app.audio.log_mel import log_mel
from app.audio.network_inputs import clip_blocks
from tests.support.cards import LOG_MEL
from tests.support.sounds import make


@pytest.mark.parametrize("seconds", [0.5, 4.0, 9.3])
def test_blocks_hold_the_spectrogram_of_each_clip(seconds: float) -> None:
    samples = make("siren", 1, seconds)
    length = LOG_MEL.clip_samples
    expected = clip_starts(samples.size, length, LOG_MEL.clip_hop_samples)
    blocks = list(clip_blocks(np.array_split(samples, 7), LOG_MEL, clips=3))
    assert [len(block.starts) for block in blocks[:-1]] == [3] * (len(blocks) - 1)
    assert [block.last for block in blocks] == [False] * (len(blocks) - 1) + [True]
    assert [start for block in blocks for start in block.starts] == [
        start / LOG_MEL.sample_rate for start in expected
    ]
    filled = np.resize(samples, max(length, samples.size))
    clips = [log_mel(filled[start : start + length], LOG_MEL) for start in expected]
    spectrograms = np.concatenate([block.inputs for block in blocks])
    np.testing.assert_array_equal(spectrograms, np.stack(clips)[:, None])
    assert not any(block.silent.any() for block in blocks)


def test_each_clip_is_silent_by_itself() -> None:
    length = LOG_MEL.clip_samples
    samples = np.concatenate([np.full(2 * length, 0.1, np.float32), make("siren", 1, 4.0)])
    blocks = list(clip_blocks([samples], LOG_MEL, clips=3))
    firsts = [round(start * LOG_MEL.sample_rate) for block in blocks for start in block.starts]
    silent = [flag for block in blocks for flag in block.silent]
    assert silent == [first + length <= 2 * length for first in firsts]


def test_a_clip_has_gaps_where_a_part_of_it_is_silent() -> None:
    quarter = LOG_MEL.clip_samples // 4
    sound, silence = make("siren", 1, 4.0)[:quarter], np.zeros(quarter, np.float32)
    parts = [sound] * 4 + [silence] * 4 + [sound] * 2
    [block] = clip_blocks([np.concatenate(parts)], LOG_MEL, clips=20)
    audible = [[part is sound for part in parts[i : i + 4]] for i in range(len(parts))]
    firsts = [round(start * LOG_MEL.sample_rate / quarter) for start in block.starts]
    assert firsts == [0, 2, 4, 6]  # the hop is half a clip
    assert block.silent.tolist() == [not any(audible[first]) for first in firsts]
    assert block.partially_silent.tolist() == [
        any(audible[first]) and not all(audible[first]) for first in firsts
    ]
