"""The street scene: the choice of its clips, and the judgement of segments."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.street_scene import (
    LabelSpan,
    build_scene,
    choose_clips,
    comparison_table,
    seconds_right,
)
from tests.support.serving import serve
from tests.support.small_store import save_constant
from tests.support.sounds import RATE, make

HEAD = "slice_file_name,fsID,start,end,salience,fold,classID,class"
ROWS = (
    "100-3-0-0.wav,100,0,4,1,2,3,dog_bark",  # another fold
    "101-3-0-0.wav,101,0,4,2,1,3,dog_bark",  # in the background
    "102-3-0-0.wav,102,0,3.4,1,1,3,dog_bark",  # too short
    "103-8-0-0.wav,103,2,6,1,1,8,siren",
    "104-8-0-0.wav,104,2,6,1,1,8,siren",  # not the first one
    "103-4-0-0.wav,103,2,6,1,1,4,drilling",  # of a recording that is in the scene already
    "105-4-0-0.wav,105,2,5.5,1,1,4,drilling",
    "106-1-0-0.wav,106,2,6,1,1,1,car_horn",
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "UrbanSound8K"
    (root / "metadata").mkdir(parents=True)
    (root / "metadata" / "UrbanSound8K.csv").write_text("\n".join((HEAD, *ROWS, "")))
    for row in ROWS:
        name, _, _, _, _, fold, _, label = row.split(",")
        folder = root / "audio" / f"fold{fold}"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, make(label, 1, seconds=4), RATE)
    return root


def names(clips: Sequence[tuple[str, Path]]) -> list[tuple[str, str]]:
    return [(label, path.name) for label, path in clips]


def test_the_clips_are_chosen_by_rule(corpus: Path) -> None:
    siren, drilling = ("siren", "103-8-0-0.wav"), ("drilling", "105-4-0-0.wav")
    assert names(choose_clips(corpus)) == [siren, drilling, ("car_horn", "106-1-0-0.wav")]
    assert names(choose_clips(corpus, count=2)) == [siren, drilling]
    assert names(choose_clips(corpus, labels=["drilling"])) == [("drilling", "103-4-0-0.wav")]
    assert names(choose_clips(corpus, fold="2")) == [("dog_bark", "100-3-0-0.wav")]
    (corpus / "audio" / "fold1" / "105-4-0-0.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"line 8.*105-4-0-0\.wav does not exist"):
        choose_clips(corpus)


def test_the_scene_begins_and_ends_with_a_gap(corpus: Path) -> None:
    scene, expected = build_scene(choose_clips(corpus, count=2), gap_seconds=1.5)
    assert [(each.start, each.end, each.label) for each in expected] == [
        (0.0, 1.5, None),
        (1.5, pytest.approx(5.5, abs=1e-3), "siren"),
        (pytest.approx(5.5, abs=1e-3), pytest.approx(7, abs=1e-3), None),
        (pytest.approx(7, abs=1e-3), pytest.approx(11, abs=1e-3), "drilling"),
        (pytest.approx(11, abs=1e-3), pytest.approx(12.5, abs=1e-3), None),
    ]
    for span in expected:
        part = scene[round(span.start * 22_050) : round(span.end * 22_050)]
        assert (np.abs(part).max() > 0.1) == (span.label is not None)


def test_segments_are_judged_second_by_second() -> None:
    expected = [LabelSpan(0, 4, None), LabelSpan(4, 8, "siren"), LabelSpan(8, 12, "drilling")]
    found = [LabelSpan(0, 3, None), LabelSpan(3, 9, "siren"), LabelSpan(9, 12, None)]
    assert seconds_right(expected, found) == 3 + 4
    assert comparison_table(expected, found).splitlines()[2:] == [
        "| 0.0 to 4.0 | nothing | nothing 3.0 s, siren 1.0 s | 75% |",
        "| 4.0 to 8.0 | siren | siren 4.0 s | 100% |",
        "| 8.0 to 12.0 | drilling | siren 1.0 s, nothing 3.0 s | 0% |",
    ]


def test_it_is_posted_and_printed(corpus: Path, tmp_path: Path) -> None:
    save_constant(tmp_path / "store", "siren")
    with serve(models_dir=tmp_path / "store") as client:
        command = [sys.executable, "-m", "bench.street_scene", "--data", str(corpus.parent)]
        command += ["--server", str(client.base_url), "--gap", "0", "--count", "2"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[:2] == [
        "103-8-0-0.wav, 105-4-0-0.wav",
        "checkpoint hann siren",
    ]
    assert "| 4.0 to 8.0 | drilling | siren 4.0 s | 0% |" in run.stdout
    assert run.stdout.endswith("together: 4.0 of 8.0 s right (50%)\n")
