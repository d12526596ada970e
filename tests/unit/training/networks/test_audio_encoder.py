"""The features of the audio encoder are those of the networks that it is made of."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torchaudio.transforms import MelSpectrogram

from tests.support.sounds import make
from training.networks.audio_encoder import (
    PARTS,
    SAMPLE_RATE,
    AisfxFeatures,
    AudioEncoder,
    load_audio_encoder,
)
from training.teachers import yamnet
from training.teachers.aisfx import Aisfx

CLIP = 4 * SAMPLE_RATE


@pytest.fixture(scope="module")
def encoder(aisfx_weights: Path) -> AudioEncoder:
    return load_audio_encoder(3, aisfx_weights)


@pytest.fixture(scope="module")
def clip() -> torch.Tensor:
    samples = torch.from_numpy(np.resize(make("siren", seed=1, seconds=3), CLIP))[None]
    return samples.float()


@torch.inference_mode()
def test_aisfx_reads_its_own_spectrogram(clip: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = Aisfx().eval()
    features = AisfxFeatures(network)(clip)
    expected = network.embed(clip[0].numpy())
    np.testing.assert_allclose(features[0], expected, rtol=1e-3, atol=1e-5)


@torch.inference_mode()
def test_yamnet_hears_patches_that_overlap_by_half(encoder: AudioEncoder) -> None:
    noise = torch.randn(1, 64_000, generator=torch.Generator().manual_seed(0))
    mel = MelSpectrogram(
        yamnet.SAMPLE_RATE,
        n_fft=512,
        win_length=400,
        hop_length=160,
        f_min=125.0,
        f_max=7500.0,
        n_mels=64,
        power=1.0,
        center=False,
    )
    # At -20 dB of full scale; torchaudio's window lies in the middle of a longer frame.
    loud = 0.1 * noise / noise.square().mean().sqrt()
    levels = (mel(torch.nn.functional.pad(loud, (56, 56))) + 1e-6).log()[0].T
    patches = torch.stack([levels[start : start + 96] for start in range(0, 398 - 95, 48)])
    embeddings = encoder.yamnet.convolutions(patches[:, None]).mean(dim=(2, 3))
    expected = torch.cat([embeddings.mean(dim=0), embeddings.amax(dim=0)]).sqrt()
    assert len(patches) == 7
    np.testing.assert_allclose(encoder.yamnet(noise)[0], expected, atol=1e-3)


@torch.inference_mode()
def test_yamnet_is_that_of_the_package(encoder: AudioEncoder) -> None:
    """The package computes with 8 bits, and so much the same."""
    network = yamnet.Yamnet()
    exact, quantised = [], []
    for label in ("siren", "dog_bark", "drilling", "car_horn"):
        samples = np.array(make(label, seed=2, seconds=1.0), np.float32)
        levels = torch.log(network._mel(torch.from_numpy(samples)) + yamnet.LOG_OFFSET).T[:96]
        exact.append(encoder.yamnet.convolutions(levels[None, None]).mean(dim=(2, 3))[0])
        quantised.append(network.embed(samples))
    likeness = np.corrcoef(exact, quantised)[:4, 4:]
    assert (likeness.argmax(axis=1) == np.arange(4)).all()
    assert likeness.diagonal().min() > 0.8


@torch.inference_mode()
def test_the_level_of_a_recording_does_not_count(encoder: AudioEncoder, clip: torch.Tensor) -> None:
    features = encoder.embed(torch.cat([clip, 0.05 * clip]))
    assert features.shape == (2, sum(PARTS))
    np.testing.assert_allclose(features[0], features[1], atol=0.02)
    assert encoder.embed(torch.zeros(1, CLIP)).isfinite().all()
