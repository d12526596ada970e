"""Which recordings are out of distribution for a task, and that nothing is on both sides."""

import csv
from pathlib import Path

import numpy as np
import soundfile

from tests.support.sounds import RATE, write_urbansound8k
from training.corpora import LabeledRecording, load_corpora
from training.ood_data import OodRecordings, load_ood_recordings
from training.tasks import TASKS


def write_esc50(root: Path, sources: dict[str, list[int]]) -> None:
    """Categories with the Freesound ids of their clips."""
    audio = root / "ESC-50-master" / "audio"
    audio.mkdir(parents=True)
    (root / "ESC-50-master" / "meta").mkdir()
    with (root / "ESC-50-master" / "meta" / "esc50.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("filename", "fold", "category", "src_file"))
        for category, ids in sources.items():
            for number, source in enumerate(ids):
                name = f"1-{source}-{category}-{number}.wav"
                soundfile.write(audio / name, np.ones(10), RATE)
                writer.writerow((name, 1, category, source))


def write_recording(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.ones(10), RATE)


def labels(clips: list[LabeledRecording]) -> set[str]:
    return {clip.label for clip in clips}


def load(data: Path, task: str) -> OodRecordings:
    known = load_corpora(data, TASKS[task].corpora)
    return load_ood_recordings(data, TASKS[task].ood_sources, known)


def corpora(root: Path) -> None:
    write_urbansound8k(root, folds=3, clips_per_fold=4)  # Freesound ids 1000 to 1003, ...
    write_esc50(
        root,
        {
            "cat": [1, 2],
            "cow": [3, 1],  # one source is in two categories
            "crow": [4, 1000],  # and one in UrbanSound8K
            "dog": [5],
            "frog": [6],
            "laughing": [7],
        },
    )
    write_recording(root / "RAVDESS" / "Actor_01" / "03-01-05-01-02-01-01.wav")
    for genre in ("jazz", "rock"):
        write_recording(root / "music" / genre / "song.wav")


def test_urban_sound_is_measured_on_other_categories_voices_and_music(tmp_path: Path) -> None:
    corpora(tmp_path)
    ood = load(tmp_path, "urban-sound")
    # Without dog and laughing: cat, cow, crow, frog, every other learned.
    assert [clip.group for clip in ood.train] == [
        "freesound:1",
        "freesound:2",
        "freesound:4",
    ]
    assert ood.trained_on == ("esc50: cat", "esc50: crow")
    measured = {kind: [clip.group for clip in clips] for kind, clips in ood.test.items()}
    assert measured == {
        "ESC-50-master": ["freesound:3", "freesound:6"],
        "RAVDESS": ["ravdess:01"],
        "music": ["folders:jazz/song.wav", "folders:rock/song.wav"],
    }


def test_emotion_learns_from_streets_where_nobody_speaks(tmp_path: Path) -> None:
    corpora(tmp_path)
    ood = load(tmp_path, "emotion")
    streets = [clip for clip in ood.train if clip.corpus == "urbansound8k"]
    assert {clip.fold for clip in streets} == {"3"}
    assert {clip.fold for clip in ood.test["UrbanSound8K"]} == {"1", "2"}
    assert "laughing" not in labels([*ood.train, *ood.test["ESC-50-master"]])
    learned = {clip.group for clip in ood.train}
    for clips in ood.test.values():
        assert learned.isdisjoint(clip.group for clip in clips)


def test_without_other_corpora_nothing_is_out_of_distribution(sound_corpus: Path) -> None:
    ood = load(sound_corpus, "urban-sound")
    assert (ood.train, ood.test) == ([], {})
