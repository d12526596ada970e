"""The card of a checkpoint: its labels, its input, its training and its metrics."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from app.audio.log_mel import LogMelConfig
from earshot.schemas import FrozenModel, Metrics, Slug

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Corpus(FrozenModel):
    """One corpus that the checkpoint was trained on."""

    name: str
    licence: str
    clips: int = Field(ge=1)
    groups: int = Field(ge=1, description="speakers or source recordings")


class Training(FrozenModel):
    """The origin of the weights."""

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
    pretrained: str | None = Field(description="origin of the initial weights, if not random")


class OodDetector(FrozenModel):
    """The detector of clips that are out of distribution: unlike all training data.

    Beside the labels' logits the graph has one more output, the last: a score that is larger for
    clips that are like the training data.
    """

    reason: Literal["out_of_distribution", "no_voice"] = Field(
        default="out_of_distribution", description="given where a clip gets no label"
    )
    trained_on: tuple[str, ...] = Field(
        min_length=1, description="corpus and kind of the out-of-distribution training clips"
    )
    threshold: float | None = Field(
        default=None,
        description="a clip with a smaller score gets no label; "
        "null until `earshot evaluate` has run: all get one",
    )


class Card(FrozenModel):
    """The contents of `card.json`."""

    schema_version: Literal[2] = 2
    task: Slug
    name: Slug = Field(description="of the checkpoint within its task")
    version: str = Field(min_length=1, description="of this checkpoint; a new training, a new one")
    created: date
    labels: tuple[str, ...] = Field(min_length=2)
    network: str = Field(description="as in `training.networks`", examples=["resnet50"])
    input: LogMelConfig
    temperature: float = Field(
        gt=0, description="logits are divided by it before the softmax (Guo et al., ICML 2017)"
    )
    ood: OodDetector | None = Field(
        default=None, description="null: the graph has no such output, and every clip gets a label"
    )
    training: Training
    metrics: Metrics | None = Field(description="null until `earshot evaluate` has run")
    sibling_metrics: tuple[Metrics, ...] = Field(
        default=(),
        description="of checkpoints trained by the same recipe with other recordings held out",
    )
    files: dict[str, Sha256] = Field(min_length=1, description="file name -> SHA-256")

    @property
    def output_size(self) -> int:
        """Values that the graph gives for a clip: the labels' logits, and the OOD score."""
        return len(self.labels) + (self.ood is not None)
