import pytest

from app.checkpoints.store import Checkpoint
from tests.support.students import write_student
from training.edge.graph import embed_card


@pytest.fixture(scope="package")
def student(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A student at random weights, as `earshot evaluate` leaves it."""
    return embed_card(write_student(tmp_path_factory.mktemp("student")))
