"""Cross-validation: every recording measured once, fold by fold, and what is left of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.sounds import RATE, make
from training import cross_validation
from training.cross_validation import CrossValidation, cross_validate, scores_table
from training.data_source import DataSource
from training.fit import Run
from training.recipes import DEFAULT_RECIPE
from training.runs import RunConfig, RunError
from training.splits import SplitError

RECIPE = replace(
    DEFAULT_RECIPE,
    clip_seconds=1.0,
    crop_seconds=1.0,
    epochs=1,
    batch_size=4,
    distillation_weight=0.0,
    views=1,
)


def config(root: Path) -> RunConfig:
    """Options for eight recordings of two labels in four sessions."""
    for number in range(4):
        for label, kind in (("purr", "siren"), ("knock", "drilling")):
            folder = root / "mine" / label / f"session-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / "sound.wav", make(kind, number, 1.0), RATE)
    return RunConfig(
        task="machine-faults",
        name="small",
        network="vgg",
        window="hann",
        source=DataSource(root / "mine", folder_per_label=True),
        recipe=RECIPE,
        held_out=None,
        seed=0,
        pretrained=None,
        cache=root / "cache",
        store=root / "store",
    )


def test_folds_are_trained_measured_and_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, run = config(tmp_path), Run(tmp_path / "run", workers=0, devices=1)
    measured: list[Sequence[str]] = []
    export = cross_validation.export

    def interrupted(folder: Path) -> object:
        measured.append(folder.name)
        if len(measured) == 2:
            raise InterruptedError("switched off")
        return export(folder)

    monkeypatch.setattr(cross_validation, "export", interrupted)
    with pytest.raises(InterruptedError):
        cross_validate(options, 2, run, "earshot train")
    kept = (tmp_path / "run" / "folds.json").read_bytes()
    first = CrossValidation.model_validate_json(kept)
    assert (len(first.folds), first.accuracy) == (1, None)

    result = cross_validate(options, 2, run, "earshot train")
    assert measured == ["fold-1", "fold-2", "fold-2"]
    assert result.folds[0] == first.folds[0]
    held_out = [name for fold in result.folds for name in fold.held_out["folders"]]
    assert sorted(held_out) == [f"session-{number}" for number in range(4)]
    assert [fold.scores.clips for fold in result.folds] == [4, 4]
    accuracies = [fold.scores.accuracy for fold in result.folds]
    assert result.accuracy is not None
    assert result.accuracy.mean == pytest.approx(np.mean(accuracies))
    # Student's interval of two values: t(0.975, 1) = 12.706 times half their distance.
    half = 12.706 * abs(accuracies[0] - accuracies[1]) / 2
    assert result.accuracy.high - result.accuracy.mean == pytest.approx(half, abs=1e-3)

    text = (tmp_path / "run" / "folds.json").read_text()
    assert CrossValidation.model_validate_json(text) == result
    assert f"| mean (95 %) | 8 | 4 | {result.accuracy.mean:.1%} (" in scores_table(result)
    assert not (tmp_path / "store").exists()
    for number in (1, 2):
        fold = tmp_path / "run" / f"fold-{number}"
        assert (fold / "report" / "predictions.csv").is_file()
        assert not list(fold.rglob("*.onnx")) + list(fold.rglob("*.safetensors"))

    # All are done: nothing is trained again; other options are another run.
    assert cross_validate(options, 2, run, "earshot train") == result
    assert len(measured) == 3
    with pytest.raises(RunError, match="holds a run with other options"):
        cross_validate(options, 4, run, "earshot train")


def test_folds_that_cannot_be_measured_are_not_begun(tmp_path: Path) -> None:
    options, run = config(tmp_path), Run(tmp_path / "run", workers=0, devices=1)
    with pytest.raises(SplitError, match="--folds 5: from 2 to 4 are possible"):
        cross_validate(options, 5, run, "earshot train")
    with pytest.raises(SplitError, match="official are those of urbansound8k"):
        cross_validate(options, "official", run, "earshot train")
    assert not (tmp_path / "run").exists()


def test_weights_that_heard_any_fold_are_refused(sound_corpus: Path, tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "models_store" / "urban-sound" / "hann"
    options = config(tmp_path).model_copy(
        update={
            "task": "urban-sound",
            "network": "resnet50",
            "source": DataSource(sound_corpus),
        }
    )
    run = Run(tmp_path / "run", workers=0, devices=1)
    for field in ("pretrained", "teacher"):
        learned_from = options.model_copy(update={field: shipped})
        with pytest.raises(RunError, match="hann: trained on 48 of the held-out groups"):
            cross_validate(learned_from, "official", run, "earshot train")
    assert not (tmp_path / "run").exists()
