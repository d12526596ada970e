from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from app.audio.log_mel import log_mel
from app.audio.stft import WINDOWS
from tests.support.sounds import RATE, make, write_urbansound8k
from training.corpora import LabeledRecording, load_corpora
from training.dataset import AugmentedClips, AugmentedDataset, EvalDataset
from training.recipes import Recipe, log_mel_config
from training.sampling import BalancedSampler, balanced_weights
from training.waveforms import Waveforms, decode_all, readable

RECIPE = Recipe(clip_seconds=1.0, crop_seconds=1.0, epochs=1)
LOG_MEL = log_mel_config(RECIPE, "hann")
LABELS = ("siren", "drilling", "dog_bark", "car_horn")


@pytest.fixture
def clips(tmp_path: Path) -> list[LabeledRecording]:
    write_urbansound8k(tmp_path, folds=2, clips_per_fold=4)
    return load_corpora(tmp_path, ["urbansound8k"])


@pytest.fixture
def waveforms(clips: list[LabeledRecording], tmp_path: Path) -> Waveforms:
    return decode_all(clips, sample_rate=RATE, cache=tmp_path / "cache")


def clip(group: str, label: str = "siren") -> LabeledRecording:
    return LabeledRecording(Path("x.wav"), label, "urbansound8k", group, "1")


def test_clips_of_one_recording_share_their_weight() -> None:
    table = [clip("a")] * 4 + [clip("a", "drilling"), clip("b")]
    weights = balanced_weights(table, by_label=False)
    np.testing.assert_allclose(weights, np.array([0.5] * 4 + [1, 1]) / 4)


def test_labels_are_drawn_equally_often() -> None:
    table = [clip("a")] * 4 + [clip("b"), clip("c", "drilling")]
    weights = balanced_weights(table, by_label=True)
    np.testing.assert_allclose(weights, np.array([0.5] * 4 + [1, 3]) / 6)


def test_the_sampler_draws_by_weight() -> None:
    sampler = BalancedSampler(np.array([0.7, 0.2, 0.1] + [0.0] * 2997), seed=1)
    drawn = np.bincount([index for index, _ in sampler], minlength=3) / len(sampler)
    np.testing.assert_allclose(drawn[:3], [0.7, 0.2, 0.1], atol=0.04)


def test_an_epoch_depends_on_the_seed_and_its_number_alone() -> None:
    weights = np.full(50, 0.02)
    first, again = BalancedSampler(weights, seed=3), BalancedSampler(weights, seed=3)
    epochs = []
    for epoch in range(3):
        first.set_epoch(epoch)
        epochs.append(list(first))
    again.set_epoch(2)
    assert list(again) == epochs[2]
    assert epochs[0] != epochs[1] != epochs[2]
    assert list(BalancedSampler(weights, seed=4)) != epochs[0]


def test_an_item_depends_on_its_draw_alone(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    dataset = AugmentedDataset(AugmentedClips(clips, waveforms, [LOG_MEL], RECIPE), LABELS)
    spectrogram, target = dataset[2, 77]
    same, same_target = dataset[2, 77]
    assert torch.equal(spectrogram, same)
    assert torch.equal(target, same_target)
    assert not torch.equal(spectrogram, dataset[2, 78][0])
    assert spectrogram.shape == (1, 64, 51)


def test_targets_are_shares_that_add_up_to_one(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    inputs = AugmentedClips(clips, waveforms, [LOG_MEL], RECIPE)
    dataset = AugmentedDataset(inputs, LABELS)
    targets = torch.stack([dataset[0, seed][1] for seed in range(60)])
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(60))
    mixed = (targets.max(dim=1).values < 1).float().mean()
    # Half are mixed, of those a quarter with a clip of the same label.
    assert mixed.item() == pytest.approx(0.5 * 0.75, abs=0.2)


def test_what_is_watched_is_what_is_served(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    dataset = EvalDataset(clips, waveforms, LOG_MEL, LABELS)
    spectrogram, label = dataset[1]
    samples, _ = soundfile.read(clips[1].path, dtype="float32")
    np.testing.assert_allclose(spectrogram[0].numpy(), log_mel(samples[:RATE], LOG_MEL), atol=1e-3)
    assert LABELS[label] == clips[1].label


def test_decoding_is_done_once(
    clips: list[LabeledRecording],
    waveforms: Waveforms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cached = list((tmp_path / "cache").rglob("*.s16"))
    assert len(cached) == len(clips)
    before = [path.stat().st_mtime_ns for path in cached]
    again = decode_all(clips, sample_rate=RATE, cache=tmp_path / "cache")
    assert [path.stat().st_mtime_ns for path in cached] == before
    np.testing.assert_array_equal(again[clips[0]], waveforms[clips[0]])
    # Rounded to 16 bits twice: in the file, and in the cache.
    np.testing.assert_allclose(again[clips[0]], make(clips[0].label, seed=1000), atol=1e-4)


def test_an_unreadable_clip_is_reported_and_left_out(
    clips: list[LabeledRecording], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips[3].path.write_bytes(b"no sound")
    waveforms = decode_all(clips, sample_rate=RATE, cache=tmp_path / "other")
    assert readable(clips, waveforms) == clips[:3] + clips[4:]
    assert f"left out {clips[3].path}" in caplog.text


def test_windows_differ_in_nothing_else(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    """The same draw gives the same crop, mixture and target through every window."""
    of_window = {}
    for window in WINDOWS:
        inputs = AugmentedClips(clips, waveforms, [log_mel_config(RECIPE, window)], RECIPE)
        of_window[window] = AugmentedDataset(inputs, LABELS)[3, 99]
    hann, rectangular = of_window["hann"], of_window["rectangular"]
    assert torch.equal(hann[1], rectangular[1])
    assert not torch.equal(hann[0], rectangular[0])
    # Masked at the same places.
    assert torch.equal(hann[0] == 0, rectangular[0] == 0)


def test_each_crop_may_have_another_window(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    single = {
        window: AugmentedDataset(
            AugmentedClips(clips, waveforms, [log_mel_config(RECIPE, window)] * 3, RECIPE), LABELS
        )
        for window in WINDOWS
    }
    configs = [log_mel_config(RECIPE, window) for window in WINDOWS]
    mixed = AugmentedDataset(AugmentedClips(clips, waveforms, configs, RECIPE), LABELS)
    drawn = {
        window
        for seed in range(20)
        for window in WINDOWS
        if torch.equal(mixed[0, seed][0], single[window][0, seed][0])
    }
    assert drawn == set(WINDOWS)


def test_a_crop_may_be_shorter_than_what_is_served(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    recipe = replace(RECIPE, crop_seconds=0.5)
    dataset = AugmentedDataset(AugmentedClips(clips, waveforms, [LOG_MEL], recipe), LABELS)
    assert dataset[0, 1][0].shape == (1, 64, 26)
    assert LOG_MEL.frames == 51


def test_a_batch_is_what_its_draws_are_one_by_one(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    dataset = AugmentedDataset(AugmentedClips(clips, waveforms, [LOG_MEL], RECIPE), LABELS)
    draws = [(index, seed) for seed in range(4) for index in range(4)]
    for (spectrogram, target), draw in zip(dataset.__getitems__(draws), draws, strict=True):
        assert torch.equal(spectrogram, dataset[draw][0])
        assert torch.equal(target, dataset[draw][1])


def test_stretching_and_warping_leave_the_size(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    recipe = replace(RECIPE, stretch_range=0.3, vtlp_range=0.2, reverb_probability=1.0)
    dataset = AugmentedDataset(AugmentedClips(clips, waveforms, [LOG_MEL], recipe), LABELS)
    plain = AugmentedDataset(AugmentedClips(clips, waveforms, [LOG_MEL], RECIPE), LABELS)
    for seed in range(10):
        spectrogram = dataset[0, seed][0]
        assert spectrogram.shape == plain[0, seed][0].shape
        assert torch.isfinite(spectrogram).all()
        assert not torch.equal(spectrogram, plain[0, seed][0])


def test_crops_are_corrupted_as_often_as_the_recipe_has_it(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    """Without backgrounds there are neither noises nor voices to draw, and all else is drawn."""

    def crops(fraction: float) -> list[np.ndarray]:
        recipe = replace(RECIPE, mixup_probability=0.0, corruption_probability=fraction)
        inputs = AugmentedClips(clips, waveforms, [LOG_MEL], recipe)
        return [inputs.mixed_crop(i % len(clips), np.random.default_rng(i))[0] for i in range(60)]

    clean, half, always = crops(0.0), crops(0.5), crops(1.0)
    changed = [
        [not np.array_equal(*pair) for pair in zip(clean, some, strict=True)]
        for some in (half, always)
    ]
    assert all(changed[1])
    assert 15 <= sum(changed[0]) <= 45
    assert [crop.size for crop in always] == [crop.size for crop in clean]
