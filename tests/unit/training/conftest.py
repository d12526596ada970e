"""Fixtures of the training package's tests."""

from collections import Counter

import pytest

from app.decoding.recording import Recording, RecordingReader


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
