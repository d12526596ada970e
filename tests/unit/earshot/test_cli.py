"""Commands of packages that are not installed."""

import argparse
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

import training.cli
from earshot import checkout
from earshot.classify import find_recordings
from earshot.cli import TRAINING_COMMANDS, main


def test_the_commands_of_the_training_package_are_known_without_it() -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    training.cli.add_commands(commands)
    assert tuple(commands.choices) == TRAINING_COMMANDS


@pytest.fixture
def _somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages of the same names that are not Earshot's, as in somebody's project."""
    for name in ("app", "training"):
        module = type(sys)(name)
        module.__spec__ = ModuleSpec(name, None, origin=f"/srv/project/{name}/__init__.py")
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures("_somebody_elses")
@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["train", "--task", "emotion", "--data", "."], "the training packages"),
        (["serve"], "the service's packages"),
        (["key", "phone"], "the service's packages"),
    ],
)
def test_what_needs_a_checkout_says_so(arguments: list[str], missing: str) -> None:
    assert not checkout.is_here("app")
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert str(stopped.value).startswith(f"earshot: {missing} are missing: run `make ")
    assert str(stopped.value).endswith("` in a checkout of Earshot")


@pytest.mark.usefixtures("_somebody_elses")
def test_without_a_checkout_help_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    assert "\n    classify" in listed
    assert "pretrain" not in listed


def test_a_folder_holds_the_recordings_of_people_not_of_systems(tmp_path: Path) -> None:
    names = ("a.wav", "b/c.WAVE", "b/.hidden.wav", "._a.wav", "__MACOSX/a.wav", "@eaDir/a.wav")
    for name in (*names, "$RECYCLE.BIN/a.mp3", ".Trash-1000/a.mp3", ".git/a.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = list(find_recordings([tmp_path, tmp_path / ".git" / "a.wav"]))
    expected = ("a.wav", "b/c.WAVE", ".git/a.wav")  # what is named itself is meant
    assert found == [tmp_path / name for name in expected]
