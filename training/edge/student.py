"""`earshot export --edge`: a student of a run's checkpoint, trained on the same recordings."""

from pathlib import Path

from training.fit import Run
from training.networks import EDGE_NETWORK
from training.recipes import student_recipe
from training.runs import RunConfig, load_run
from training.train import train

EDGE_CHECKPOINT = "edge"
"""name of a student within its task"""


def train_student(run: Path, workers: int) -> Path:
    """Train a small network on the recordings and the checkpoint of a finished run, or go on.

    What the run held out is held out of the student too.

    Args:
        run: the folder of the run; its checkpoint is in the store that it names.
        workers: processes that prepare batches.

    Returns:
        the folder of the student's run, below the other's.

    Raises:
        RunError, CorpusError, SplitError, CheckpointError: see their modules.
    """
    teacher, record, _ = load_run(run)
    config = RunConfig(
        task=teacher.task,
        name=EDGE_CHECKPOINT,
        network=EDGE_NETWORK,
        window=teacher.window,
        source=teacher.source,
        recipe=student_recipe(teacher.task),
        held_out=record.training.held_out,
        seed=teacher.seed,
        pretrained=None,
        teacher=teacher.store / teacher.task / teacher.name,
        cache=teacher.cache,
        store=teacher.store,
    )
    folder = run / EDGE_CHECKPOINT
    train(config, Run(folder, workers, devices=1))
    return folder
