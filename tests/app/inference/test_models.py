"""Which checkpoints are loaded, and when."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from app.checkpoints import store
from app.checkpoints.errors import DamagedCheckpointError, MissingCheckpointError
from app.inference.classifier import Classifier
from app.inference.models import Loading, Models
from tests.app.checkpoints.test_store import CARD


class Constant:
    """An engine that needs no graph."""

    def infer(self, spectrograms: np.ndarray) -> np.ndarray:
        return np.zeros((len(spectrograms), len(CARD.labels)), np.float32)


class Maker:
    """Makes engines, and counts them."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()

    def __call__(self, checkpoint: store.Checkpoint) -> Constant:
        if checkpoint.model.read_bytes() == b"no graph":
            raise RuntimeError("cannot be read\nin many words")
        self.made[checkpoint.card.front_end.window] += 1
        return Constant()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    model = tmp_path / "graph"
    for window, content in (
        ("hann", b"a graph"),
        ("hamming", b"a graph"),
        ("rectangular", b"no graph"),
    ):
        model.write_bytes(content)
        front_end = CARD.front_end.model_copy(update={"window": window})
        card = CARD.model_copy(update={"front_end": front_end})
        store.save(tmp_path / "store", card, {"model.onnx": model})
    return tmp_path / "store"


def models(root: Path, maker: Maker) -> Models:
    return Models(root, Loading(maker, max_waiting=8, streams=1))


def statuses(found: Models) -> dict[str, str]:
    return {window: entry.status for (_, window), entry in found.entries.items()}


def test_a_checkpoint_is_loaded_once_when_it_is_wanted(root: Path) -> None:
    maker = Maker()

    async def main() -> None:
        found = models(root, maker)
        assert statuses(found) == dict.fromkeys(("hann", "hamming", "rectangular"), "available")
        assert not maker.made
        wanted = [found.get("urban-sound", "hann") for _ in range(5)]
        first, *others = await asyncio.gather(*wanted)
        assert all(other is first for other in others)
        assert statuses(found)["hann"] == "loaded"
        assert statuses(found)["hamming"] == "available"

    asyncio.run(main())
    assert maker.made == {"hann": 1}


def test_what_cannot_be_loaded_says_so_each_time_and_stops_nobody(root: Path) -> None:
    async def main() -> None:
        found = models(root, Maker())
        await found.preload(found.entries)
        assert statuses(found) == {"hann": "loaded", "hamming": "loaded", "rectangular": "failed"}
        for _ in range(2):
            with pytest.raises(DamagedCheckpointError, match=r"compiled: cannot be read$"):
                await found.get("urban-sound", "rectangular")

    asyncio.run(main())


def test_a_damaged_card_is_known_at_the_start(root: Path) -> None:
    (root / "urban-sound" / "hann" / "card.json").write_text("{}")
    found = models(root, Maker())
    assert statuses(found) == {"hann": "failed", "hamming": "available", "rectangular": "available"}
    assert "not a valid card" in str(found.entries["urban-sound", "hann"].error)


def test_what_is_unused_is_released_and_loaded_again(root: Path) -> None:
    maker = Maker()

    async def main() -> tuple[Classifier, Classifier]:
        found = models(root, maker)
        first = await found.get("urban-sound", "hann")
        found.release_unused(60)
        assert statuses(found)["hann"] == "loaded"
        found.entries["urban-sound", "hann"].used = time.monotonic() - 61
        found.release_unused(60)
        assert statuses(found)["hann"] == "available"
        return first, await found.get("urban-sound", "hann")

    first, again = asyncio.run(main())
    assert first is not again
    assert maker.made == {"hann": 2}


def test_a_checkpoint_that_is_not_there_says_which_are(root: Path) -> None:
    async def main() -> None:
        found = models(root, Maker())
        with pytest.raises(MissingCheckpointError, match="it has: none for this task"):
            await found.get("emotion", "hann")

    asyncio.run(main())


def test_a_store_that_cannot_be_read_is_reported_and_holds_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Here by a name that no file system takes; one without permission is the same error."""
    assert not models(tmp_path / ("x" * 300), Maker()).entries
    assert "cannot be read" in caplog.text
