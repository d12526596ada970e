from pathlib import Path

import numpy as np
import pytest
import torch

from training.teachers.aisfx import (
    EMBEDDING_SIZE,
    SAMPLE_RATE,
    Aisfx,
    AisfxError,
    blocks,
    load_aisfx,
)


def test_weights_are_read_without_running_the_pickle(aisfx_weights: Path) -> None:
    torch.manual_seed(0)
    expected = Aisfx().eval()
    loaded = load_aisfx(aisfx_weights)
    samples = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
    embedding = loaded.embed(samples)
    assert embedding.shape == (EMBEDDING_SIZE,)
    np.testing.assert_allclose(embedding, expected.embed(samples), rtol=1e-5)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    torch.save(({"embedding_net.x": torch.zeros(1)}, {}), tmp_path / "checkpoint.pth")
    with pytest.raises(AisfxError, match="not the weights of aiSFX"):
        load_aisfx(tmp_path / "checkpoint.pth")


def test_blocks_overlap_by_half() -> None:
    assert blocks(torch.zeros(SAMPLE_RATE)).shape == (1, 100, 96)
    assert blocks(torch.zeros(199 * 1024)).shape == (3, 100, 96)
