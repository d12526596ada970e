"""Which checkpoints are loaded, and when."""

import asyncio
import re
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from app.checkpoints import store
from app.checkpoints.store import (
    DamagedCheckpointError,
    MissingCheckpointError,
    ModelKey,
    UnknownTaskError,
)
from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader
from app.inference import EngineConfig
from app.inference.classifier import Classifier
from app.inference.registry import ModelRegistry, ReloadResult, UnknownCheckpointError
from tests.support.cards import CARD


class Constant:
    """An engine that needs no graph."""

    def __init__(self, logit: float = 0.0, labels: int = len(CARD.labels)) -> None:
        self.logit = logit
        self.labels = labels

    def infer(self, spectrograms: np.ndarray) -> np.ndarray:
        return np.full((len(spectrograms), self.labels), self.logit, np.float32)


class Endless(Constant):
    """An engine that never answers."""

    def infer(self, spectrograms: np.ndarray) -> np.ndarray:
        threading.Event().wait()
        raise AssertionError


class OneClip(Constant):
    """An engine that fails over several clips."""

    def infer(self, spectrograms: np.ndarray) -> np.ndarray:
        if len(spectrograms) > 1:
            raise RuntimeError("the shape is fixed")
        return super().infer(spectrograms)


class Maker:
    """Makes engines, and counts them."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()

    def __call__(self, checkpoint: store.Checkpoint) -> Constant:
        self.made[checkpoint.card.name] += 1
        match checkpoint.model.read_bytes():
            case b"no graph":
                raise RuntimeError("cannot be read\nin many words")
            case b"no number":
                return Constant(np.nan)
            case b"other labels":
                return Constant(labels=3)
            case b"no end":
                return Endless()
            case b"one clip":
                return OneClip()
        return Constant()


def save(root: Path, name: str, content: bytes, version: str = "1") -> None:
    model = root.with_suffix(".graph")
    model.write_bytes(content)
    card = CARD.model_copy(update={"name": name, "version": version})
    store.save(root, card, {"model.onnx": model})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    save(root, "hann", b"a graph")
    save(root, "hamming", b"a graph")
    save(root, "rectangular", b"no graph")
    return root


def models(root: Path, maker: Maker, **defaults: str) -> ModelRegistry:
    return ModelRegistry(
        root,
        EngineConfig(max_requests=1, load_timeout_seconds=5),
        reader=RecordingReader(AudioLimits()),
        run_in_thread=asyncio.to_thread,
        defaults=defaults,
        make_engine=maker,
    )


def statuses(found: ModelRegistry) -> dict[str, str]:
    return {key.name: entry.status for key, entry in found.entries.items()}


def test_the_operator_chooses_what_answers_by_default(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def chosen(**defaults: str) -> str:
        defaults = {task.replace("_", "-"): name for task, name in defaults.items()}
        return models(root, Maker(), **defaults).resolve("urban-sound", None).name

    assert chosen() == "hann"
    assert chosen(urban_sound="hamming") == "hamming"
    assert not caplog.messages
    assert chosen(urban_sound="gone", birds="night") == "hann"
    first, second = caplog.messages
    assert "default checkpoint urban-sound/gone is not in the store: it has urban-s" in first
    assert "birds/night" in second


def test_a_checkpoint_is_loaded_once_when_it_is_wanted(root: Path) -> None:
    maker = Maker()

    async def main() -> None:
        found = models(root, maker)
        assert statuses(found) == dict.fromkeys(("hann", "hamming", "rectangular"), "available")
        assert not maker.made
        wanted = [found.get(ModelKey("urban-sound", "hann")) for _ in range(5)]
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
                await found.get(ModelKey("urban-sound", "rectangular"))

    asyncio.run(main())


def test_a_damaged_card_is_known_at_the_start(root: Path) -> None:
    (root / "urban-sound" / "hann" / "card.json").write_text("{}")
    found = models(root, Maker())
    assert statuses(found) == {"hann": "failed", "hamming": "available", "rectangular": "available"}
    assert "not a valid card" in str(found.entries[ModelKey("urban-sound", "hann")].error)


def test_what_is_unused_is_released_and_loaded_again(root: Path) -> None:
    maker = Maker()

    async def main() -> tuple[Classifier, Classifier]:
        found = models(root, maker)
        first = await found.get(ModelKey("urban-sound", "hann"))
        found.release_idle(60)
        assert statuses(found)["hann"] == "loaded"
        found.entries[ModelKey("urban-sound", "hann")].last_used = time.monotonic() - 61
        found.release_idle(60)
        assert statuses(found)["hann"] == "available"
        return first, await found.get(ModelKey("urban-sound", "hann"))

    first, again = asyncio.run(main())
    assert first is not again
    assert maker.made == {"hann": 2}


def test_what_was_preloaded_stays_however_idle(root: Path) -> None:
    async def main() -> None:
        found = models(root, Maker())
        await found.preload([ModelKey("urban-sound", "hann")])
        await found.get(ModelKey("urban-sound", "hamming"))
        for entry in found.entries.values():
            entry.last_used = time.monotonic() - 61
        found.release_idle(60)
        assert statuses(found)["hann"] == "loaded"
        assert statuses(found)["hamming"] == "available"

    asyncio.run(main())


def test_reloading_takes_over_what_is_new_changed_or_gone(root: Path) -> None:
    maker = Maker()

    async def main() -> None:
        found = models(root, maker)
        old = await found.get(ModelKey("urban-sound", "hann"))
        save(root, "hann", b"another graph", version="2")
        save(root, "rectangular", b"a graph")
        shutil.rmtree(root / "urban-sound" / "hamming")
        reloaded = await found.reload()
        assert reloaded.replaced == [("urban-sound", "hann"), ("urban-sound", "rectangular")]
        assert (reloaded.added, reloaded.refused) == ([], {})
        assert reloaded.removed == [("urban-sound", "hamming")]
        assert statuses(found) == {"hann": "loaded", "rectangular": "loaded"}
        new = await found.get(ModelKey("urban-sound", "hann"))
        assert (old.card.version, new.card.version) == ("1", "2")
        clip = np.zeros((1, 1, 4, 4), np.float32)
        assert (await old.infer(clip)).tolist() == (await new.infer(clip)).tolist()
        save(root, "hamming", b"a graph")
        again = await found.reload()
        assert again == ReloadResult([], [("urban-sound", "hamming")], [], {})

    asyncio.run(main())
    # What was as before was left alone the second time.
    assert maker.made == {"hann": 2, "rectangular": 1, "hamming": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no graph", "cannot be compiled: cannot be read"),
        (b"no number", "outputs that are not finite"),
        (b"other labels", r"the shape \[1, 3\], the card has 10 labels"),
        (b"no end", "it was not loaded and tested within 5 s"),
        (b"one clip", "it fails at its self-test: the shape is fixed"),
    ],
)
def test_a_bad_checkpoint_is_refused_and_the_old_one_stays(
    root: Path, content: bytes, words: str
) -> None:
    async def main() -> None:
        found = models(root, Maker())
        old = await found.get(ModelKey("urban-sound", "hann"))
        save(root, "hann", content, version="2")
        reloaded = await found.reload()
        assert (reloaded.replaced, reloaded.added, reloaded.removed) == ([], [], [])
        error = reloaded.refused[ModelKey("urban-sound", "hann")]
        assert re.search(words, str(error))
        assert await found.get(ModelKey("urban-sound", "hann")) is old
        # The store has nothing to load it from again.
        found.release_idle(-1)
        assert statuses(found)["hann"] == "loaded"
        assert found.entries[ModelKey("urban-sound", "hann")].refusal is error
        save(root, "hann", b"a graph", version="3")
        assert ("urban-sound", "hann") in (await found.reload()).replaced
        assert (await found.get(ModelKey("urban-sound", "hann"))).card.version == "3"

    asyncio.run(main())


def test_damage_is_found_before_it_replaces_anything(root: Path) -> None:
    async def main() -> None:
        found = models(root, Maker())
        old = await found.get(ModelKey("urban-sound", "hann"))
        save(root, "hann", b"another graph", version="2")
        (root / "urban-sound" / "hann" / "model.onnx").write_bytes(b"half a gra")
        reloaded = await found.reload()
        assert "SHA-256" in str(reloaded.refused[ModelKey("urban-sound", "hann")])
        assert await found.get(ModelKey("urban-sound", "hann")) is old

    asyncio.run(main())


def test_a_store_that_is_suddenly_empty_takes_nothing_away(root: Path) -> None:
    async def main() -> None:
        found = models(root, Maker())
        old = await found.get(ModelKey("urban-sound", "hann"))
        shutil.rmtree(root)
        with pytest.raises(MissingCheckpointError, match="holds no checkpoints any more"):
            await found.reload()
        assert await found.get(ModelKey("urban-sound", "hann")) is old

    asyncio.run(main())


def test_a_checkpoint_that_is_not_there_says_which_are(root: Path) -> None:
    found = models(root, Maker())
    with pytest.raises(UnknownTaskError, match="no task 'emotion'; there are: urban-sound"):
        found.resolve("emotion", "hann")
    with pytest.raises(UnknownCheckpointError, match="'kaiser'; accepted: hamming, hann, rect"):
        found.resolve("urban-sound", "kaiser")
    with pytest.raises(MissingCheckpointError, match="no checkpoint emotion/hann"):
        asyncio.run(found.get(ModelKey("emotion", "hann")))
    shutil.rmtree(root)
    with pytest.raises(UnknownTaskError, match="none, the store holds no checkpoints"):
        models(root, Maker()).resolve("emotion", None)


def test_hann_or_else_the_first_answers_where_none_is_named(root: Path) -> None:
    found = models(root, Maker())
    assert found.tasks == ["urban-sound"]
    assert found.resolve("urban-sound", None) == ("urban-sound", "hann")
    assert found.resolve("urban-sound", "rectangular") == ("urban-sound", "rectangular")
    shutil.rmtree(root / "urban-sound" / "hann")
    assert models(root, Maker()).resolve("urban-sound", None) == ("urban-sound", "hamming")


def test_a_store_that_cannot_be_read_is_reported_and_holds_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Here by a name that no file system takes; one without permission is the same error."""
    assert not models(tmp_path / ("x" * 300), Maker()).entries
    assert "cannot be read" in caplog.text
