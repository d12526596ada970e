"""How good a checkpoint's answers are, as its card says it."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """A part of a card: it does not change, and has no other fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Scores(Record):
    """How good the answers on one set of clips are."""

    clips: int = Field(ge=1)
    groups: int = Field(ge=1)
    accuracy: Share
    uar: Share = Field(description="unweighted average recall over the labels that occur")
    macro_f1: Share = Field(description="mean F1 over the labels that occur")
    recall: dict[str, Share] = Field(description="of each label that occurs")
    confusion: tuple[tuple[int, ...], ...] = Field(
        description="clips, [true label][answered label], in the order of the card's labels"
    )


class ForeignScores(Record):
    """How well sounds of no known kind are told from the held-out recordings."""

    clips: int = Field(ge=1)
    auroc: Share = Field(
        description="share of the pairs of one held-out and one foreign clip in which the "
        "held-out one is the more familiar"
    )
    refused: Share = Field(description="of the foreign clips, those that get no label")


class FamiliarityScores(Record):
    """How well a checkpoint knows what it does not know."""

    answered: Share = Field(
        description="of the held-out clips, those that get a label; the threshold was chosen by it"
    )
    foreign: dict[str, ForeignScores] = Field(
        description="corpus and kind of sound -> scores; none of these clips has told the "
        "familiar from the foreign in training"
    )


class Metrics(Record):
    """What `earshot evaluate` measured, and how."""

    protocol: str
    held_out: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="corpus -> folds or speakers that were answered"
    )
    command: str
    date: date
    overall: Scores
    by_corpus: dict[str, Scores]
    expected_calibration_error: Share = Field(
        description="15 equal bins; the temperature was fitted on other groups than it is judged on"
    )
    accuracy_fp32: Share | None = Field(
        description="of the graph before quantisation, on the same clips; "
        "null where it was no longer at hand"
    )
    familiarity: FamiliarityScores | None = Field(
        default=None, description="null where the checkpoint does not tell it"
    )
