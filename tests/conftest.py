"""What all tests share: where real recordings are, where there are any."""

import os
import tarfile
from pathlib import Path

import pytest

_SHARED = Path(os.environ.get("EARSHOT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


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
