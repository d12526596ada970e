"""Does a network answer at all? Asked before anyone else asks it."""

import numpy as np

from app.checkpoints.card import Card
from app.checkpoints.errors import DamagedCheckpointError
from app.inference.engine import Engine


def smoke_test(engine: Engine, card: Card) -> None:
    """Give the network a fixed input and look at what comes back.

    Raises:
        DamagedCheckpointError: it cannot read spectrograms of the card's size, or its answer is
            not one finite value for each of the card's outputs.
    """
    config = card.input
    shape = (1, 1, config.n_mels, config.frames)
    spectrograms = np.random.default_rng(0).standard_normal(shape, np.float32)
    name = f"{card.task}/{config.window}"
    try:
        outputs = engine.infer(spectrograms)
    except Exception as error:
        raise DamagedCheckpointError(
            f"{name}: the network fails at its self-test: {str(error).splitlines()[0]}"
        ) from error
    if outputs.shape != (1, card.outputs):
        raise DamagedCheckpointError(
            f"{name}: the network gives outputs of the shape {list(outputs.shape)}, "
            f"the card has {len(card.labels)} labels"
            + (" and familiarity" if card.familiarity else "")
        )
    if not np.isfinite(outputs).all():
        raise DamagedCheckpointError(f"{name}: the network gives outputs that are not finite")
