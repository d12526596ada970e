"""The card of a checkpoint: its labels, its input, its training and its metrics."""

from datetime import date
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from app.audio.network_inputs import InputConfig
from earshot.schemas import Fraction, FrozenModel, Metrics, Slug

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^\w[\w.-]{0,99}$")]
"""of a file of the checkpoint's own folder"""
Text = Annotated[str, Field(min_length=1, max_length=200)]
_Count = Annotated[int, Field(ge=0, le=10**12)]
_Value = bool | Annotated[int, Field(ge=-(10**12), le=10**12)] | float


class Corpus(FrozenModel):
    """One corpus that the checkpoint was trained on."""

    name: str
    licence: str
    clips: int = Field(ge=1, le=10**12)
    groups: int = Field(ge=1, le=10**12, description="speakers or source recordings")


class Training(FrozenModel):
    """The origin of the weights."""

    corpora: tuple[Corpus, ...]
    held_out: dict[str, tuple[str, ...]] = Field(
        description="corpus -> folds or speakers that were never trained on"
    )
    skipped_clips: _Count = Field(description="could not be decoded, or silent")
    epochs: int = Field(ge=1, le=10**6)
    recipe: dict[str, _Value | tuple[float, ...]] = Field(
        default_factory=dict,
        description="every setting of the training, as in `training.recipes.Recipe`",
    )
    seed: int = Field(ge=0, lt=2**64)
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
        default=(),
        description="corpus and kind of the out-of-distribution training clips; empty where the "
        "score is the nearness to the labels' own clips",
    )
    threshold: float | None = Field(
        default=None,
        ge=-1e9,
        le=1e9,
        description="a clip with a smaller score gets no label; "
        "null until `earshot evaluate` has run: all get one",
    )


class LengthScores(FrozenModel):
    """How good the predictions on recordings that were cut to one length are."""

    seconds: float = Field(gt=0)
    recordings: int = Field(ge=1)
    accuracy: Fraction
    expected_calibration_error: Fraction = Field(description="under `temperature`, cross-fitted")
    uncalibrated_error: Fraction = Field(description="the same under the card's temperature")
    temperature: float = Field(gt=0, description="fitted on recordings of this length")


class ShortRecordings(FrozenModel):
    """How far recordings that are shorter than a clip can be classified."""

    shortest_seconds: float = Field(gt=0, description="shorter recordings get no label")
    whole_accuracy: Fraction = Field(description="of the same recordings as they were")
    lengths: tuple[LengthScores, ...] = Field(
        min_length=1,
        description="rising; the temperature is interpolated between them, and to the card's at "
        "the length of a clip",
    )
    command: str = Field(description="that measured them")


class Card(FrozenModel):
    """The contents of `card.json`."""

    schema_version: Literal[2] = 2
    task: Slug
    name: Slug = Field(description="of the checkpoint within its task")
    version: Text = Field(description="of this checkpoint; a new training, a new one")
    created: date
    labels: tuple[Text, ...] = Field(min_length=2, max_length=10_000)
    network: Text = Field(description="as in `training.networks`", examples=["resnet50"])
    input: InputConfig
    temperature: float = Field(
        ge=0.01,
        le=100,
        description="logits are divided by it before the softmax (Guo et al., ICML 2017)",
    )
    ood: OodDetector | None = Field(
        default=None, description="null: the graph has no such output, and every clip gets a label"
    )
    short: ShortRecordings | None = Field(
        default=None,
        description="null until `earshot evaluate --lengths` has run: of any length, a recording "
        "is treated alike",
    )
    training: Training
    metrics: Metrics | None = Field(description="null until `earshot evaluate` has run")
    sibling_metrics: tuple[Metrics, ...] = Field(
        default=(),
        description="of checkpoints trained by the same recipe with other recordings held out",
    )
    files: dict[FileName, Sha256] = Field(
        min_length=1, max_length=100, description="name of a file in the same folder -> SHA-256"
    )

    @property
    def output_size(self) -> int:
        """Values that the graph gives for a clip: the labels' logits, and the OOD score."""
        return len(self.labels) + (self.ood is not None)

    def is_too_short(self, seconds: float) -> bool:
        """Return whether a recording of this length gets no label."""
        return self.short is not None and seconds < self.short.shortest_seconds

    def temperature_of(self, seconds: float) -> float:
        """Return the temperature for a recording of this length."""
        if self.short is None or seconds >= self.input.clip_seconds:
            return self.temperature
        measured = {each.seconds: each.temperature for each in self.short.lengths}
        measured[self.input.clip_seconds] = self.temperature
        logarithms = np.log([*measured])
        return float(np.interp(np.log(max(seconds, 1e-9)), logarithms, [*measured.values()]))
