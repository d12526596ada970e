"""The checkpoints in `models_store/`, as they are cloned."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.audio.windows import WINDOWS
from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.labels import LABELS, TASKS, TaskName
from tests.serving import ServerClient, serve
from training.datasets.ravdess import EMOTIONS

STORE = Path(__file__).parents[2] / "models_store"
CLIPS = 80
MEASURED_ON: dict[TaskName, str] = {"urban-sound": "urbansound8k", "emotion": "ravdess"}


@pytest.fixture(scope="module")
def shipped() -> Iterator[ServerClient]:
    with serve() as client:
        yield client


def test_both_tasks_are_served_with_the_default_window(shipped: ServerClient) -> None:
    models = shipped.get("/models").json()["models"]
    assert {(model["task"], model["status"]) for model in models} == {
        (task, "loaded") for task in TASKS
    }
    assert [model["window"] for model in models].count("hann") == len(TASKS)
    assert shipped.get("/readyz").status_code == 200


@pytest.mark.parametrize("task", TASKS)
def test_cards_say_what_was_measured_and_how(task: TaskName) -> None:
    for window in WINDOWS:
        if (task, window) not in store.present(STORE):
            continue
        checkpoint = store.load(STORE, task, window)
        card = checkpoint.card
        assert checkpoint.model.stat().st_size < 25_000_000
        assert card.labels == LABELS[task]
        assert card.training.held_out
        assert card.metrics is not None
        assert card.metrics.command.startswith("earshot ")
        assert card.metrics.accuracy_fp32 is not None
        confusion = card.metrics.overall.confusion
        right = sum(confusion[i][i] for i in range(len(card.labels)))
        assert right / sum(map(sum, confusion)) == pytest.approx(
            card.metrics.overall.accuracy, abs=1e-4
        )


def held_out_clips(corpora: Path, task: TaskName, card: Card) -> list[tuple[str, bytes]]:
    """(label, file) of clips that the checkpoint was not trained on, evenly drawn."""
    corpus = MEASURED_ON[task]
    folder = "audio/fold{}/" if corpus == "urbansound8k" else "Actor_{}/"
    folders = tuple(folder.format(fold) for fold in card.training.held_out[corpus])
    with tarfile.open(corpora / f"{corpus}.tar") as archive:
        members = [member for member in archive if member.name.startswith(folders)]
        members.sort(key=lambda member: member.name)
        chosen = members[:: len(members) // CLIPS]
        return [(label_of(task, Path(m.name)), archive.extractfile(m).read()) for m in chosen]


def label_of(task: TaskName, path: Path) -> str:
    if task == "urban-sound":
        return LABELS[task][int(path.stem.split("-")[1])]
    return EMOTIONS[path.stem.split("-")[2]]


@pytest.mark.parametrize("task", TASKS)
def test_real_recordings_are_answered_as_well_as_the_card_says(
    shipped: ServerClient, corpora: Path, task: TaskName
) -> None:
    card = store.load(STORE, task, "hann").card
    assert card.metrics is not None
    expected = card.metrics.by_corpus[MEASURED_ON[task]]
    clips = held_out_clips(corpora, task, card)
    right = 0
    for label, data in clips:
        answer = shipped.post(f"/classify/{task}", files={"file": data})
        right += answer.json()["label"] == label
    # Three standard errors of a sample of this size.
    margin = 3 * (expected.accuracy * (1 - expected.accuracy) / len(clips)) ** 0.5
    assert right / len(clips) == pytest.approx(expected.accuracy, abs=margin)
