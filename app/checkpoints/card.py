"""A checkpoint's card: what it knows, how it hears, where it comes from, how good it is."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from app.audio.log_mel import LogMelConfig
from app.checkpoints.labels import TaskName
from app.checkpoints.metrics import Metrics, Record

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Corpus(Record):
    """One corpus that the checkpoint was trained on."""

    name: str
    licence: str
    clips: int = Field(ge=1)
    groups: int = Field(ge=1, description="speakers or source recordings")


class Training(Record):
    """Where the weights come from."""

    corpora: tuple[Corpus, ...]
    held_out: dict[str, tuple[str, ...]] = Field(
        description="corpus -> folds or speakers that were never trained on"
    )
    skipped_clips: int = Field(ge=0, description="could not be decoded, or silent")
    epochs: int = Field(ge=1)
    recipe: dict[str, bool | int | float | tuple[float, ...]] = Field(
        default_factory=dict,
        description="every setting of the training, as in `training.recipes.Recipe`",
    )
    seed: int
    pretrained: str | None = Field(description="what the weights started from, if not at random")


class Familiarity(Record):
    """How the checkpoint knows what is like nothing that it was trained on.

    Beside the labels' logits the graph has one more output, the last: how familiar a clip is,
    larger for what was trained on.
    """

    foreign: tuple[str, ...] = Field(
        min_length=1, description="what it learned to tell the familiar from: corpus and kind"
    )
    threshold: float | None = Field(
        default=None,
        description="a clip that is less familiar gets no label; "
        "null until `earshot evaluate` has run: all get one",
    )


class Card(Record):
    """The contents of `card.json`."""

    schema_version: Literal[1] = 1
    task: TaskName
    version: str = Field(min_length=1, description="of this checkpoint; a new training, a new one")
    created: date
    labels: tuple[str, ...] = Field(min_length=2)
    input: LogMelConfig
    temperature: float = Field(
        gt=0, description="logits are divided by it before the softmax (Guo et al., ICML 2017)"
    )
    familiarity: Familiarity | None = Field(
        default=None, description="null: the graph does not tell it, and everything gets a label"
    )
    training: Training
    metrics: Metrics | None = Field(description="null until `earshot evaluate` has run")
    sibling_metrics: tuple[Metrics, ...] = Field(
        default=(),
        description="of checkpoints trained by the same recipe with other recordings held out",
    )
    files: dict[str, Sha256] = Field(min_length=1, description="file name -> SHA-256")

    @property
    def outputs(self) -> int:
        """Values that the graph gives for a clip: the labels' logits, and the familiarity."""
        return len(self.labels) + (self.familiarity is not None)
