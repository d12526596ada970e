"""The comparison with another revision."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.beside import checkout, ratio_rows


def is_repository() -> bool:
    """Return whether Git takes this checkout for a repository."""
    asked = ["git", "rev-parse", "--verify", "HEAD"]
    return shutil.which("git") is not None and not subprocess.run(asked, check=False).returncode


def test_the_median_and_the_middle_half_of_the_rounds() -> None:
    rows = ratio_rows({"requests/s": [0.5, 0.9, 1.0, 1.1, 3.0]})
    assert rows == [
        {"figure": "requests/s", "ratio": "1.000", "half of the rounds": "0.900 to 1.100"}
    ]


@pytest.mark.skipif(not is_repository(), reason="no repository")
def test_a_revision_is_there_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    with checkout("HEAD", folder):
        assert (folder / "app" / "__main__.py").is_file()
    assert not folder.exists()
    listed = subprocess.run(["git", "worktree", "list"], capture_output=True, text=True, check=True)
    assert str(folder) not in listed.stdout
