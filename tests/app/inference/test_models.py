from pathlib import Path

import pytest

from app.checkpoints.errors import MissingCheckpointError
from app.inference.models import load_models


def test_a_store_that_cannot_be_read_is_reported_and_holds_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Here by a name that no file system takes; one without permission is the same error."""
    models = load_models(tmp_path / ("x" * 300))
    assert "cannot be read" in caplog.text
    assert not models.loaded
    assert not models.failed
    with pytest.raises(MissingCheckpointError, match="none for this task"):
        models.get("emotion", "hann")
