"""The torch engine on the CPU, against the network that training made."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from app.checkpoints import store
from app.checkpoints.store import DamagedCheckpointError, MissingCheckpointError
from app.inference.engine import make_engine
from app.inference.torch_engine import TorchEngine
from tests.support.cards import CARD
from training.export import write_weights
from training.networks.resnet import ResNetAudioClassifier


def checkpoint(tmp_path: Path, weights: Path | None) -> store.Checkpoint:
    graph = tmp_path / "graph"
    graph.write_bytes(b"a graph")
    files = {store.MODEL: graph} | ({} if weights is None else {store.WEIGHTS: weights})
    return store.save(tmp_path / "store", CARD, files)


@torch.inference_mode()
def test_it_is_the_network_that_was_trained(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ResNetAudioClassifier(len(CARD.labels), dropout=0.5)
    network(torch.randn(4, 1, 64, 64))  # statistics for the normalisation
    network.eval()
    path = tmp_path / "weights"
    write_weights(network, path)
    spectrograms = np.random.default_rng(0).standard_normal((3, 1, 64, 101), dtype=np.float32)
    expected = network(torch.from_numpy(spectrograms)).numpy()
    found = TorchEngine(checkpoint(tmp_path, path)).infer(spectrograms)
    # bfloat16 has 8 bits of precision.
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())
    assert found.dtype == np.float32


def test_without_weights_it_says_what_to_do(tmp_path: Path) -> None:
    without = checkpoint(tmp_path, None)
    with pytest.raises(MissingCheckpointError, match="earshot export RUN --weights"):
        make_engine(without, "torch", streams=1, cache=None)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    save_file({"conv": torch.zeros(1)}, path)
    with pytest.raises(DamagedCheckpointError, match="ResNet50 with 10 outputs"):
        TorchEngine(checkpoint(tmp_path, path))
