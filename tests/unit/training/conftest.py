"""Fixtures of the training package's tests."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from app.decoding.recording import Recording, RecordingReader
from training.teachers.aisfx import Aisfx


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """How often the bytes of each file were decoded."""
    counts: Counter[bytes] = Counter()
    read = RecordingReader.read

    def count(self: RecordingReader, data: bytes, *, sample_rate: int) -> Recording:
        counts[data] += 1
        return read(self, data, sample_rate=sample_rate)

    monkeypatch.setattr(RecordingReader, "read", count)
    return counts


@pytest.fixture(scope="session")
def aisfx_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights, as the package aisfx has it."""
    torch.manual_seed(0)
    state = {f"embedding_net.{name}": value for name, value in Aisfx().state_dict().items()}
    path = tmp_path_factory.mktemp("aisfx") / "checkpoint.pth"
    torch.save((state, {"esc50": (np.int64(0), 50)}), path)
    return path
