from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import soxr

from tests.support.serving import ServerClient, serve
from tests.support.small_store import save_constant
from tests.support.sounds import RATE, encode, make

if TYPE_CHECKING:
    from playwright.sync_api import Browser


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


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what the browser's microphone hears, again and again: drilling."""
    path = tmp_path_factory.mktemp("microphone") / "drilling.wav"
    samples = soxr.resample(make("drilling", 1, 20), RATE, 48_000)
    path.write_bytes(encode(samples, 48_000, subtype="PCM_16"))
    return path


@pytest.fixture(scope="module")
def browser(microphone: Path) -> Iterator["Browser"]:
    browsers = pytest.importorskip("tests.support.browsers", reason="playwright is not installed")
    path = browsers.find_browser()
    if path is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    with browsers.start_browser(path, microphone) as chromium:
        yield chromium
