from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import ServerClient, serve


@pytest.fixture(scope="session")
def client(trained_store: Path) -> Iterator[ServerClient]:
    """A client of a server with one checkpoint: urban-sound, hann, of generated sounds."""
    with serve(models_dir=trained_store, max_upload_bytes=2_000_000, max_seconds=60) as client:
        yield client
