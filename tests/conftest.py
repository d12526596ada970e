"""Fixtures that all tests share: where real recordings are, where there are any."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import hypothesis
import pytest

from tests.support.sounds import write_urbansound8k

# A deadline would make a slow machine a failing test.
hypothesis.settings.register_profile("earshot", deadline=None)
hypothesis.settings.load_profile("earshot")
# For `make mutants`, which runs the tests hundreds of times.
hypothesis.settings.register_profile("mutants", deadline=None, max_examples=20, derandomize=True)

_ROOT = Path(__file__).parents[1]
_SHARED = Path(os.environ.get("EARSHOT_TEST_DATA", _ROOT.parent / "shared" / "data"))
_KEPT_TRAINING = os.environ.get("EARSHOT_TEST_TRAINING")


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The packed corpora (`<name>.tar` of Ogg clips), for tests on real recordings."""
    if not _SHARED.is_dir():
        pytest.skip("no real recordings here (set EARSHOT_TEST_DATA to a folder of corpora)")
    return _SHARED


@pytest.fixture(scope="session")
def real_clips(corpora: Path) -> list[bytes]:
    """A few real recordings, as Ogg Opus files: a street, a voice, music."""
    clips = []
    for corpus in ("urbansound8k", "ravdess", "music"):
        with tarfile.open(corpora / f"{corpus}.tar") as archive:
            member = next(m for m in archive if m.name.endswith(".ogg"))
            content = archive.extractfile(member)
            assert content is not None
            clips.append(content.read())
    return clips


@pytest.fixture(scope="session")
def sound_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small UrbanSound8K of generated sounds."""
    root = Path(_KEPT_TRAINING or tmp_path_factory.mktemp("training")) / "corpora"
    if not root.is_dir():
        write_urbansound8k(root, folds=4, clips_per_fold=16)
    return root


@pytest.fixture(scope="session")
def trained_store(tmp_path_factory: pytest.TempPathFactory, sound_corpus: Path) -> Path:
    """A store with one checkpoint, trained on the generated sounds by the command line.

    `EARSHOT_TEST_TRAINING` names a folder that keeps it for the next time: whoever works on
    something else need not wait for it.
    """
    work = Path(_KEPT_TRAINING or tmp_path_factory.mktemp("training"))
    if (work / "store").is_dir():
        return work / "store"
    command = [
        *(sys.executable, "-m", "earshot", "train"),
        *("--task", "urban-sound", "--window", "hann", "--data", str(sound_corpus)),
        *("--epochs", "2", "--batch-size", "8"),
        *("--pretrained", str(_ROOT / "models_store" / "urban-sound" / "hann")),
        *("--out", str(work / "run"), "--cache", str(work / "cache")),
        *("--store", str(work / "store")),
    ]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return work / "store"
