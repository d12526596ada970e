import numpy as np
import torch

from app.audio.log_mel import log_mel
from training.fine_tuning.spectrograms import (
    SpectrogramAugmentation,
    augment_spectrograms,
    log_mel_batch,
    mask_with_mean,
    stretch_frames,
    warp_bands,
    whisper_log_mel,
)

LOG_MEL = whisper_log_mel(1.0)
NOTHING = SpectrogramAugmentation(
    stretch_probability=0, warp_probability=0, random_eq_probability=0, mask_probability=0
)


def test_a_batch_is_what_the_service_computes() -> None:
    rng = np.random.default_rng(0)
    samples = (0.2 * rng.standard_normal((3, LOG_MEL.clip_samples))).astype(np.float32)
    expected = np.stack([log_mel(row, LOG_MEL) for row in samples])
    batch = log_mel_batch(torch.from_numpy(samples), LOG_MEL)
    np.testing.assert_allclose(batch[:, 0].numpy(), expected, atol=2e-3)


def test_stretching_moves_what_is_late_forward() -> None:
    power = torch.zeros(3, 100)
    power[:, 60] = 1
    assert stretch_frames(power, 80, 1.2)[0].argmax() == 50


def test_warping_moves_bands_up() -> None:
    power = torch.zeros(80, 5)
    power[40] = 1
    assert warp_bands(power, 1.1)[:, 0].argmax() == 44


def test_masks_are_no_wider_than_the_recipe_has_it() -> None:
    augmentation = SpectrogramAugmentation()
    assert augmentation.frequency_mask < 80
    rng = np.random.default_rng(0)
    for _ in range(30):
        db = torch.randn(80, 100)
        mean = db.mean()
        mask_with_mean(db, 50, augmentation, rng)
        masked = torch.isclose(db, mean)
        assert masked.all(dim=1).sum() <= 2 * augmentation.frequency_mask
        assert masked.all(dim=0).sum() <= 2 * 50 // 5
        assert not masked.all(dim=0)[50:].any()


def test_augmentation_of_probability_zero_gives_db() -> None:
    power = torch.tensor([[[1.0, 0.1, 1e-4, 1e-12]]]).expand(2, 3, 4)
    rng = np.random.default_rng(0)
    db = augment_spectrograms(power, [4, 4], LOG_MEL, NOTHING, rng)
    assert db.shape == (2, 1, 3, 4)
    torch.testing.assert_close(db[0, 0, 0], torch.tensor([0.0, -10.0, -40.0, -80.0]))


def test_a_random_filter_stays_within_its_range() -> None:
    augmentation = SpectrogramAugmentation(
        stretch_probability=0, warp_probability=0, random_eq_probability=1, mask_probability=0
    )
    db = augment_spectrograms(
        torch.ones(4, 80, 10), [10] * 4, LOG_MEL, augmentation, np.random.default_rng(0)
    )
    assert 3 < float(db.abs().max()) <= 6.001
    assert (db[:, 0, :, 0] == db[:, 0, :, 9]).all()
