from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import ServerClient, serve
from tests.support.small_store import save_constant


@pytest.fixture(scope="session")
def client(trained_store: Path) -> Iterator[ServerClient]:
    """A client of a server with one checkpoint: urban-sound, hann, of generated sounds."""
    with serve(models_dir=trained_store, max_upload_bytes=2_000_000, max_seconds=60) as client:
        yield client


@pytest.fixture(scope="module")
def siren_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one checkpoint, that of a network which hears sirens alone."""
    root = tmp_path_factory.mktemp("constant") / "store"
    save_constant(root, "siren")
    return root
