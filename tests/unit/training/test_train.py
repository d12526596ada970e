"""What a finished run leaves, and what it does when it is asked for again."""

from pathlib import Path

import pytest

from tests.unit.training.test_cross_validation import config
from training.fit import Run
from training.runs import RunError, load_run
from training.train import train


def test_a_finished_run_keeps_what_is_needed_and_is_not_trained_again(tmp_path: Path) -> None:
    options = config(tmp_path).model_copy(update={"held_out": {"folders": ("session-1",)}})
    folder = tmp_path / "run"
    run = Run(folder, workers=0, devices=1, loggers=("csv",))
    record = train(options, run)
    names = {path.name for path in folder.iterdir()}
    # Neither the optimizer's state nor views, which are for going on.
    assert names == {"config.json", "run.json", "model.safetensors", "log"}
    assert record.labels == ("knock", "purr")
    assert load_run(folder)[1] == record

    before = (folder / "model.safetensors").stat()
    assert train(options, run) == record
    after = (folder / "model.safetensors").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    with pytest.raises(RunError, match="holds a run with other options"):
        train(options.model_copy(update={"seed": 1}), run)


def test_a_run_starts_from_one_of_ones_own(tmp_path: Path) -> None:
    options = config(tmp_path).model_copy(update={"held_out": {"folders": ("session-1",)}})
    train(options, Run(tmp_path / "first", workers=0, devices=1, loggers=("csv",)))
    further = options.model_copy(update={"pretrained": tmp_path / "first"})
    run = Run(tmp_path / "second", workers=0, devices=1, loggers=("csv",))
    record = train(further, run)
    assert record.training.pretrained == "the run machine-faults/small"
    leaking = further.model_copy(update={"held_out": {"folders": ("session-2",)}})
    run = Run(tmp_path / "third", workers=0, devices=1)
    with pytest.raises(RunError, match=r"first: trained on 1 of .* \(folders:session-2\)"):
        train(leaking, run)
    assert not run.folder.exists()
