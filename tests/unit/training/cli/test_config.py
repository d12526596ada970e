"""Options from a file: the same as on the command line, which comes first."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from earshot.cli import main
from training.recipes import DEFAULT_RECIPE, Recipe


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Own folders of 80 recordings, which are listed and never read."""
    for label in ("owl", "wren"):
        for number in range(40):
            path = tmp_path / "birds" / label / f"garden-{number % 10}" / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "birds"


def printed(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, object]:
    main(["train", *options, "--print-config"])
    content = yaml.safe_load(capsys.readouterr().out)
    assert isinstance(content, dict)
    return content


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["train", *options])
    return f"{stopped.value.code}\n{capsys.readouterr().err}"


@pytest.mark.usefixtures("folders")
def test_what_is_printed_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    changes = ("--dropout", "0.3", "--noise-snr-db", "1", "2.5", "--no-balance-labels")
    run = ("--seed", "7", "--logger", "csv", "--out", "tried", "--leave-out", "esc50")
    first = printed(capsys, "--task", "birds", "--folders", "birds", *changes, *run)
    assert {field.name for field in fields(Recipe)} <= set(first)
    expected: dict[str, object] = {"dropout": 0.3, "noise_snr_db": [1.0, 2.5]}
    expected |= {"balance_labels": False, "seed": 7, "logger": ["csv"], "out": "tried"}
    expected |= {"leave_out": ["esc50"], "folders": "birds", "window": "hann"}
    # 64 of 80 are learned from, which makes 8 steps of an epoch.
    expected |= {"batch_size": 8, "epochs": 38}
    assert {name: first[name] for name in expected} == expected
    held_out = first["hold_out"]
    assert isinstance(held_out, dict)
    assert len(held_out["folders"]) == 2

    Path("all.yaml").write_text(yaml.safe_dump(first))
    assert printed(capsys, "--config", "all.yaml") == first
    assert printed(capsys, "--config=all.yaml", "--dropout", "0.1") == first | {"dropout": 0.1}
    others = printed(capsys, "--config", "all.yaml", "--hold-out", "folders:garden-3")
    assert others == first | {"hold_out": {"folders": ["garden-3"]}}
    folds = printed(capsys, "--config", "all.yaml", "--folds", "5", "--balance-labels")
    assert folds["folds"] == 5
    assert "hold_out" not in folds
    assert folds["balance_labels"] is True


@pytest.mark.usefixtures("folders")
def test_a_file_may_have_some_options_only(capsys: pytest.CaptureFixture[str]) -> None:
    Path("some.yaml").write_text("batch-size: 4\nmixup_probability: 0\nteacher:\n")
    options = ("--config", "some.yaml", "--task", "birds", "--folders", "birds")
    found = printed(capsys, *options)
    assert (found["batch_size"], found["mixup_probability"]) == (4, 0.0)
    assert found["max_learning_rate"] == DEFAULT_RECIPE.max_learning_rate


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epoch: 3", "earshot: f.yaml: no option epoch; did you mean epochs?"),
        ("[", "earshot: f.yaml: not YAML: "),
        ("- epochs", "earshot: f.yaml: expected a line `option: value` for each option"),
        ("epochs: 0", "argument --epochs: expected 1 or more, got '0'"),
        ("dropout: 1.5", "argument --dropout: expected 0 to 1, got '1.5'"),
        ("clip_seconds: -1", "argument --clip-seconds: expected more than 0, got '-1'"),
        ("network: lenet", "argument --network: invalid choice: 'lenet'"),
        ("data: x", "argument --folders: not allowed with argument --data"),
        ("logger: wandb\ndata: x\n", "argument --folders: not allowed with argument --data"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(
    content: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("f.yaml").write_text(f"{content}\n")
    options = ("--config", "f.yaml", "--task", "birds")
    if "data" in content:
        Path("f.yaml").write_text(f"{content}\nfolders: birds\n")
    else:
        options = (*options, "--folders", "birds")
    assert message in refused(capsys, *options)


def test_a_file_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.yaml: [Errno 2] No such file" in refused(capsys, "--config", "nowhere.yaml")
    assert "argument --config: expected one argument" in refused(capsys, "--config")
