"""Why a checkpoint cannot be used."""


class CheckpointError(Exception):
    """A checkpoint is missing or damaged; the message says which and why."""


class MissingCheckpointError(CheckpointError):
    """The store has no such checkpoint."""


class DamagedCheckpointError(CheckpointError):
    """The checkpoint's files are not what its card says."""
