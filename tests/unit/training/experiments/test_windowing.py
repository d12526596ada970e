"""The windowing experiment on generated sounds, as its user runs it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from earshot.cli import main
from training.corpora import CorpusError
from training.experiments.statistics import mean_interval
from training.experiments.windowing import WindowingExperiment

WINDOWS = ("hann", "hamming", "rectangular")


def compare(sound_corpus: Path, out: Path) -> None:
    main(
        [
            *("compare-windows", "--data", str(sound_corpus), "--cache", str(out / "cache")),
            *("--seeds", "2", "--epochs", "1", "--out", str(out)),
        ]
    )


def test_the_experiment(
    sound_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compare(sound_corpus, tmp_path)
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "windowing.json").read_text())
    assert results["epochs"] == 1
    assert results["seeds"] == [0, 1]
    assert set(results["windows"]) == set(WINDOWS)
    assert set(results["against_reference"]) == {"hamming", "rectangular"}
    assert "fold 1 held out (16 clips of 16 recordings), 48 clips to learn" in results["protocol"]
    for window in WINDOWS:
        found = results["windows"][window]
        assert f"\n| {window} | " in printed
        interval = mean_interval([scores["accuracy"] for scores in found["by_seed"]])
        assert found["accuracy"]["mean"] == pytest.approx(interval.mean)
        confusion = np.array(found["confusion"])
        assert confusion.sum() == 2 * 16
        right = np.trace(confusion) / confusion.sum()
        assert right == pytest.approx(interval.mean, abs=1e-4)
    for window in ("hamming", "rectangular"):
        difference = results["against_reference"][window]["accuracy"]["interval"]["mean"]
        means = [results["windows"][name]["accuracy"]["mean"] for name in (window, "hann")]
        assert difference == pytest.approx(means[0] - means[1], abs=1e-4)

    with (tmp_path / "windowing.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["window"], row["seed"]) for row in rows] == [
        (window, str(seed)) for window in WINDOWS for seed in (0, 1)
    ]
    assert len(list(tmp_path.glob("windowing-*.png"))) == 3

    # Again: nothing is trained a second time, and the result is the same.
    answers = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/probabilities.npy")}
    assert len(answers) == 6
    compare(sound_corpus, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in answers} == answers
    assert json.loads((tmp_path / "windowing.json").read_text()) == results


def test_what_is_wrong_is_told_before_anything_runs(sound_corpus: Path, tmp_path: Path) -> None:
    audio = sound_corpus / "UrbanSound8K" / "audio"
    table = sound_corpus / "UrbanSound8K" / "metadata" / "UrbanSound8K.csv"
    with pytest.raises(ValueError, match=r"two different seeds are needed, got \[3, 3\]"):
        WindowingExperiment(audio, table, seeds=(3, 3), out=tmp_path)
    with pytest.raises(CorpusError, match=r"line 2: .*nowhere.* does not exist"):
        WindowingExperiment(tmp_path / "nowhere", table, out=tmp_path)
    with pytest.raises(RuntimeError, match="call evaluate_all"):
        WindowingExperiment(audio, table, out=tmp_path).plot_results()
