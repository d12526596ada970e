"""A checkpoint that rejects out-of-distribution sounds, from its export to its answers."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.checkpoints import store
from earshot.cli import main
from tests.support.serving import serve
from tests.support.sounds import SOUNDS, encode, make, write_esc50
from training.card_tables import measured_cards, ood_table


@pytest.fixture(scope="module")
def cautious_store(
    trained_store: Path, sound_corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The run of `trained_store` exported again, now with out-of-distribution sounds."""
    root = tmp_path_factory.mktemp("cautious")
    data, run = root / "data", root / "run"
    shutil.copytree(sound_corpus, data)
    write_esc50(data, clips=16)
    shutil.copytree(trained_store.parent / "run", run)
    config = json.loads((run / "config.json").read_text())
    config |= {"source": {"path": str(data)}, "store": str(root / "store")}
    (run / "config.json").write_text(json.dumps(config))
    main(["export", str(run)])
    main(["evaluate", str(run)])
    return root / "store"


@pytest.fixture(scope="module")
def cautious(cautious_store: Path) -> Iterator[httpx.Client]:
    with serve(models_dir=cautious_store) as client:
        yield client


def answer(client: httpx.Client, samples: np.ndarray) -> dict:
    response = client.post("/classify/urban-sound", files={"file": encode(samples)})
    assert response.status_code == 200, response.text
    return response.json()


def test_the_card_says_what_was_learned_and_what_was_measured(cautious_store: Path) -> None:
    card = store.load(cautious_store, store.ModelKey("urban-sound", "hann")).card
    assert card.ood is not None
    assert card.ood.trained_on == ("esc50: airplane", "esc50: cat")
    assert card.ood.threshold is not None
    assert card.metrics is not None
    assert card.metrics.ood is not None
    [(kind, scores)] = card.metrics.ood.by_source.items()
    assert (kind, scores.clips) == ("ESC-50-master", 16)
    assert scores.auroc > 0.9
    assert card.metrics.ood.coverage == pytest.approx(0.95, abs=0.07)
    row = f"| urban-sound | hann | ESC-50-master | 16 | {scores.auroc:.3f} |"
    assert row in ood_table(measured_cards(cautious_store))


def test_the_labels_are_what_they_were(trained_store: Path, cautious_store: Path) -> None:
    """The same network: of 16 clips, int8 may turn one over."""
    before, after = (
        store.load(root, store.ModelKey("urban-sound", "hann")).card
        for root in (trained_store, cautious_store)
    )
    assert before.ood is None
    assert before.metrics is not None
    assert after.metrics is not None
    assert after.metrics.overall.accuracy == pytest.approx(
        before.metrics.overall.accuracy, abs=1 / 16
    )


@pytest.mark.parametrize("kind", ["airplane", "can_opening", "cat"])
def test_an_out_of_distribution_sound_has_no_label(cautious: httpx.Client, kind: str) -> None:
    found = answer(cautious, make(kind, 12_345))
    assert (found["label"], found["reason"], found["probability"]) == (
        None,
        "out_of_distribution",
        0,
    )
    assert len(found["ranked"]) == 3


@pytest.mark.parametrize("label", SOUNDS)
def test_a_known_sound_has_its_label(cautious: httpx.Client, label: str) -> None:
    found = answer(cautious, make(label, 90_001))
    assert found["label"] == label
    assert "reason" not in found


def test_what_is_foreign_in_a_long_recording_is_shown_where_it_is(cautious: httpx.Client) -> None:
    scene = np.concatenate([np.tile(make("siren", 90_001), 4), np.tile(make("cat", 12_345), 10)])
    found = answer(cautious, scene)
    assert (found["label"], found["reason"]) == (None, "out_of_distribution")
    first, second = found["segments"]
    assert (first["label"], second["label"]) == ("siren", None)
    assert second["reason"] == "out_of_distribution"
    assert second["start"] == pytest.approx(8, abs=2)
    assert list(found["label_fractions"]) == ["siren"]
