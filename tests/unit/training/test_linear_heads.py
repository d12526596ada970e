"""Heads that are fitted on what a network makes of recordings."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from app.audio.network_inputs import WaveformConfig
from tests.support.sounds import RATE, make
from training.corpora import LabeledRecording
from training.linear_heads import add_ood_output
from training.networks.classifier import HeadedNetwork
from training.waveforms import Waveforms, decode_all

CONFIG = WaveformConfig(sample_rate=RATE, clip_seconds=1.0, clip_hop_seconds=0.5, padding="repeat")


class Spectrum(HeadedNetwork):
    """Reads the level in 16 bands."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Dropout(0.0), nn.Linear(16, outputs))

    def embed(self, inputs: Tensor) -> Tensor:
        bands = torch.fft.rfft(inputs.float())[:, 1:].abs().square()
        return bands.unflatten(1, (16, -1)).mean(dim=2).clamp_min(1e-9).log10()

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.embed(inputs))
        return outputs


def recordings(root: Path, kind: str, count: int) -> list[LabeledRecording]:
    found = []
    for seed in range(count):
        path = root / f"{kind}-{seed}.wav"
        soundfile.write(path, make(kind, seed, seconds=1.0), RATE)
        found.append(LabeledRecording(path, kind, "own", f"{kind} {seed}", "1"))
    return found


@pytest.fixture(scope="module")
def siren(tmp_path_factory: pytest.TempPathFactory) -> list[LabeledRecording]:
    return recordings(tmp_path_factory.mktemp("siren"), "siren", 8)


@pytest.fixture(scope="module")
def drilling(tmp_path_factory: pytest.TempPathFactory) -> list[LabeledRecording]:
    return recordings(tmp_path_factory.mktemp("drilling"), "drilling", 8)


@pytest.fixture(scope="module")
def waveforms(
    siren: list[LabeledRecording],
    drilling: list[LabeledRecording],
    tmp_path_factory: pytest.TempPathFactory,
) -> Waveforms:
    cache = tmp_path_factory.mktemp("cache")
    return decode_all([*siren, *drilling], sample_rate=RATE, cache=cache)


def outputs_of(network: Spectrum, found: list[LabeledRecording], waveforms: Waveforms) -> Tensor:
    with torch.no_grad():
        return network(torch.from_numpy(np.stack([waveforms[each] for each in found])))


def test_the_last_output_is_low_for_what_is_out_of_distribution(
    siren: list[LabeledRecording], drilling: list[LabeledRecording], waveforms: Waveforms
) -> None:
    network = Spectrum(2)
    before = outputs_of(network, siren, waveforms)
    add_ood_output(network, siren[:6], drilling[:6], waveforms, CONFIG, seed=0)
    after = outputs_of(network, [*siren, *drilling], waveforms)
    torch.testing.assert_close(after[: len(siren), :2], before)
    inside, outside = after[6:8, 2], after[14:, 2]
    assert inside.min() > outside.max()
