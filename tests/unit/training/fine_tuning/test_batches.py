from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from app.audio.network_inputs import WaveformConfig
from training.corpora import LabeledRecording
from training.corruptions import BACKGROUND_KINDS
from training.corruptions.augmentation import Backgrounds
from training.corruptions.backgrounds import BackgroundPool, BackgroundRecording
from training.fine_tuning import batches as module
from training.fine_tuning.batches import (
    BatchRecipe,
    SpeechBatches,
    draw_weights,
    label_offsets,
)
from training.fine_tuning.spectrograms import whisper_log_mel

LOG_MEL = whisper_log_mel(1.0)
WAVEFORM = WaveformConfig.of_clips(LOG_MEL)
RATE = LOG_MEL.sample_rate
AS_IT_IS = BatchRecipe(4, speed_probability=0, corruption_probability=0, gain_db=0)


def recording(corpus: str, speaker: str, label: str) -> LabeledRecording:
    group = f"{corpus}:{speaker}"
    return LabeledRecording(
        path=Path("x.wav"), label=label, corpus=corpus, group=group, fold=speaker
    )


RECORDINGS = [
    *[recording("a", "1", "sad")] * 6,
    *[recording("a", "2", "sad")] * 2,
    *[recording("a", "1", "happy")] * 2,
    *[recording("b", "3", "sad")] * 4,
]


def noise(seed: int, size: int = RATE) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal(size)).astype(np.float32)


def samples() -> list[NDArray[np.int16]]:
    rng = np.random.default_rng(0)
    sizes = rng.integers(4_000, 24_000, len(RECORDINGS))
    return [rng.integers(-9_000, 9_000, size).astype(np.int16) for size in sizes]


def backgrounds() -> Backgrounds:
    pool = BackgroundPool(
        [BackgroundRecording(f"{n}", f"group {n}", lambda n=n: noise(n)) for n in range(3)]
    )
    return dict.fromkeys(BACKGROUND_KINDS, pool)


def batches(
    seed: int = 0, recipe: BatchRecipe | None = None, *, waveforms: bool = False
) -> SpeechBatches:
    return SpeechBatches(
        RECORDINGS,
        samples(),
        WAVEFORM if waveforms else LOG_MEL,
        recipe or BatchRecipe(batch_size=4),
        backgrounds(),
        seed=seed,
    )


def test_labels_of_a_corpus_are_drawn_equally_often() -> None:
    weights = draw_weights(RECORDINGS, {})
    assert weights.sum() == pytest.approx(1)
    assert weights[:8].sum() == pytest.approx(weights[8:10].sum())
    assert weights[:10].sum() / weights[10:].sum() == pytest.approx((10 / 4) ** 0.5)
    # Of one label, six recordings of one speaker and two of another.
    assert weights[:6].sum() / weights[6:8].sum() == pytest.approx(3**0.5)


def test_a_factor_draws_a_corpus_more_often() -> None:
    weights = draw_weights(RECORDINGS, {"b": 2.0})
    assert weights[10:].sum() / weights[:10].sum() == pytest.approx(2 * (4 / 10) ** 0.5)


def test_labels_that_a_corpus_lacks_are_offset() -> None:
    offsets = label_offsets(RECORDINGS, ("happy", "sad"), -2.0)
    np.testing.assert_array_equal(offsets["a"], [0, 0])
    np.testing.assert_array_equal(offsets["b"], [-2, 0])


def test_batches_have_the_network_s_shape() -> None:
    for inputs, indices in batches().batches(0, 9):
        assert inputs.shape[:3] == (4, 1, 80)
        assert inputs.shape[3] <= LOG_MEL.frames
        assert len(indices) == 4
        assert torch.isfinite(inputs).all()


def test_waveforms_are_as_long_as_a_clip() -> None:
    for inputs, indices in batches(waveforms=True).batches(0, 3):
        assert inputs.shape == (4, LOG_MEL.clip_samples)
        assert inputs.dtype == torch.float32
        assert len(indices) == 4
        assert torch.isfinite(inputs).all()


def test_without_augmentation_waveforms_are_the_recordings() -> None:
    whole = samples()
    for inputs, indices in batches(recipe=AS_IT_IS, waveforms=True).batches(0, 3):
        for row, index in zip(inputs.numpy(), indices, strict=True):
            expected = whole[index] / np.float32(32_767)
            if expected.size <= row.size:
                np.testing.assert_array_equal(row[: expected.size], expected)
                assert not row[expected.size :].any()
            else:
                starts = range(expected.size - row.size + 1)
                assert any(
                    expected[start] == row[0]
                    and np.array_equal(expected[start : start + row.size], row)
                    for start in starts
                )


def test_a_run_that_goes_on_sees_the_same_batches() -> None:
    whole = list(batches().batches(0, 12))
    later = list(batches().batches(5, 12))
    assert len(later) == 7
    for (inputs, indices), (expected, drawn) in zip(later, whole[5:], strict=True):
        assert indices == drawn
        torch.testing.assert_close(inputs, expected)


def test_another_seed_draws_others() -> None:
    first = [indices for _, indices in batches(0).batches(0, 4)]
    assert first != [indices for _, indices in batches(1).batches(0, 4)]


def test_corruptions_are_as_frequent_as_the_recipe_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def corrupt(
        samples: NDArray[np.float32], rate: int, pools: object, group: str, rng: Generator
    ) -> NDArray[np.float32]:
        assert rate == RATE
        calls.append(group)
        return samples

    monkeypatch.setattr(module, "corrupt_for_training", corrupt)
    assert BatchRecipe().corruption_probability == 0.6
    indices = [i for _, drawn in batches(waveforms=True).batches(0, 40) for i in drawn]
    assert len(calls) / len(indices) == pytest.approx(0.6, abs=0.12)
    assert set(calls) == {"a:1", "a:2", "b:3"}


def test_the_gain_has_the_deviation_of_the_recipe() -> None:
    recipe = BatchRecipe(4, speed_probability=0, corruption_probability=0, gain_db=6)
    gains = []
    for inputs, indices in batches(recipe=recipe, waveforms=True).batches(0, 40):
        for row, index in zip(inputs.numpy(), indices, strict=True):
            power = np.mean((samples()[index] / 32_767) ** 2)
            size = min(samples()[index].size, row.size)
            gains.append(10 * np.log10(np.mean(row[:size] ** 2) / power))
    assert np.std(gains) == pytest.approx(6, rel=0.2)
