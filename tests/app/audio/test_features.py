import numpy as np
import pytest

from app.audio.clips import starts
from app.audio.features import clip_blocks
from app.audio.frontend import log_mel
from tests.app.audio.test_frontend import FRONT_END
from tests.sounds import make


@pytest.mark.parametrize("seconds", [0.5, 4.0, 9.3])
def test_blocks_hold_the_spectrogram_of_each_clip(seconds: float) -> None:
    samples = make("siren", 1, seconds)
    length = FRONT_END.clip_samples
    expected = starts(samples.size, length, FRONT_END.clip_hop_samples)
    blocks = list(clip_blocks(np.array_split(samples, 7), FRONT_END, clips=3))
    assert [len(block.starts) for block in blocks[:-1]] == [3] * (len(blocks) - 1)
    assert [block.last for block in blocks] == [False] * (len(blocks) - 1) + [True]
    assert [start for block in blocks for start in block.starts] == [
        start / FRONT_END.sample_rate for start in expected
    ]
    filled = np.resize(samples, max(length, samples.size))
    clips = [log_mel(filled[start : start + length], FRONT_END) for start in expected]
    spectrograms = np.concatenate([block.spectrograms for block in blocks])
    np.testing.assert_array_equal(spectrograms, np.stack(clips)[:, None])
