"""Every model of an answer of the service.

The service, its client and the command line share this module; it needs pydantic alone.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
"""name of a task or a checkpoint: lower-case words joined by hyphens"""
Probability = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, description="seconds")]

Reason = Literal["silent", "too_short", "out_of_distribution", "no_voice"]
"""why something has no label"""
REASON_DESCRIPTION = (
    "why there is no label: `silent`, below -80 dBFS; `too_short`, of a recording shorter than "
    "the checkpoint can tell; `out_of_distribution`, unlike all training data; `no_voice`, where "
    "an emotion was asked for"
)
CheckpointStatus = Literal["loaded", "available", "failed"]
"""whether a checkpoint answers at once, after loading, or not at all"""


class RankedLabel(BaseModel):
    """One label and its probability."""

    label: str
    probability: Probability


class Segment(BaseModel):
    """The most probable label of one part of a long recording."""

    start: Seconds
    end: Seconds
    label: str | None = Field(description="null where the part has no label, see `reason`")
    reason: Reason | None = Field(default=None, description=REASON_DESCRIPTION)
    probability: Probability = Field(description="mean over the segment, 0 without a label")


class AudioInfo(BaseModel):
    """Facts about the recording as it was sent."""

    seconds: Seconds
    sample_rate: int = Field(description="Hz", examples=[44100])
    channels: int = Field(examples=[2])
    format: str = Field(description="container", examples=["wav"])
    track: int | None = Field(
        default=None, description="the sound track that was heard, from 1, of a file with several"
    )


class Progress(BaseModel):
    """How much of a recording is classified."""

    seconds: Seconds = Field(description="classified so far")
    total: Seconds | None = Field(
        description="duration of the recording; null where its file does not say"
    )


class CheckpointRef(BaseModel):
    """The checkpoint that answered."""

    task: Slug
    name: Slug
    version: str


class Classification(BaseModel):
    """The labels of a recording."""

    task: Slug
    label: str | None = Field(description="the most probable label, null where none fits")
    reason: Reason | None = Field(default=None, description=REASON_DESCRIPTION)
    probability: Probability = Field(
        description="calibrated probability of `label`, 0 where there is none"
    )
    ranked: list[RankedLabel] = Field(
        description="the `top_k` labels, most probable first: the answer if it had to be one of "
        "them; empty for silence and what is too short"
    )
    audio: AudioInfo
    checkpoint: CheckpointRef
    segments: list[Segment] | None = Field(
        default=None,
        description="for a recording longer than one clip: its labels over time, without gaps",
    )
    label_fractions: dict[str, float] | None = Field(
        default=None,
        description="for a long recording: label -> fraction of the time, 0 to 1; the rest to 1 "
        "has no label",
    )
    warnings: list[str] = Field(
        default=[],
        description="what of the file could not be decoded or is missing, and is silence",
        examples=[
            ["0.023 s could not be decoded, first at 4.621 s, and are silence"],
        ],
    )


class StreamPrediction(BaseModel):
    """The labels of the last seconds of a live stream."""

    start: Seconds
    end: Seconds
    label: str | None
    reason: Reason | None = Field(default=None, description=REASON_DESCRIPTION)
    probability: Probability = Field(description="of `label`, 0 where there is none")
    ranked: list[RankedLabel] = Field(
        description="most probable first; empty for silence and what is too short"
    )


class FrozenModel(BaseModel):
    """An immutable record that accepts no other fields, and no number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Scores(FrozenModel):
    """How good the predictions on one set of clips are."""

    clips: int = Field(ge=1)
    groups: int = Field(ge=1)
    accuracy: Fraction
    uar: Fraction = Field(description="unweighted average recall over the labels that occur")
    macro_f1: Fraction = Field(description="mean F1 over the labels that occur")
    recall: dict[str, Fraction] = Field(description="of each label that occurs")
    confusion: tuple[tuple[int, ...], ...] = Field(
        description="clips, [true label][predicted label], in the order of the card's labels"
    )


class OodScores(FrozenModel):
    """How well out-of-distribution sounds are told from the held-out recordings."""

    clips: int = Field(ge=1)
    auroc: Fraction = Field(
        description="fraction of the pairs of one held-out and one out-of-distribution clip in "
        "which the held-out one has the larger score"
    )
    rejection_rate: Fraction = Field(
        description="fraction of the out-of-distribution clips that get no label"
    )


class OodFamilyScores(FrozenModel):
    """How well one family of out-of-distribution sounds is rejected, whatever the threshold."""

    clips: int = Field(ge=1)
    auroc: Fraction
    rejection_rate_at_95: Fraction = Field(
        description="fraction of the family's clips that get no label where 95 % of the held-out "
        "clips get one"
    )
    rejection_rate_at_99: Fraction = Field(description="the same where 99 % get one")


class OodMetrics(FrozenModel):
    """How well a checkpoint rejects out-of-distribution sounds."""

    coverage: Fraction = Field(
        description="fraction of the held-out clips that get a label; the threshold was chosen by "
        "it"
    )
    by_source: dict[str, OodScores] = Field(
        description="corpus and kind of sound -> scores; training saw none of these clips"
    )
    by_family: dict[str, OodFamilyScores] = Field(
        default_factory=dict,
        description="music, speech, household, animals, machines -> scores; "
        "empty until `earshot evaluate --ood` has run",
    )


class Estimate(FrozenModel):
    """A measured fraction and its 95 % interval."""

    value: Fraction
    low: Fraction
    high: Fraction


class GroupedScores(FrozenModel):
    """Scores of some recordings, with intervals from resampling speakers or sources."""

    recordings: int = Field(ge=1)
    groups: int = Field(ge=1, description="speakers or sources; few make an interval a rough guess")
    accuracy: Estimate
    uar: Estimate = Field(description="unweighted average recall over the labels that occur")


class TagScores(FrozenModel):
    """How well the order of probabilities agrees with tags that listeners gave."""

    recordings: int = Field(ge=1)
    groups: int = Field(ge=1)
    mean_average_precision: Estimate
    chance: Fraction = Field(description="of a random order: the mean frequency of the tags")
    average_precision: dict[str, Fraction] = Field(description="of each tag that occurs")


class CorruptionScores(FrozenModel):
    """Scores of recordings under one corruption in one severity."""

    accuracy: Fraction = Field(description="of the most probable label, rejected or not")
    uar: Fraction
    expected_calibration_error: Fraction = Field(
        description="under the card's temperature, which was fitted on the clean recordings"
    )
    rejection_rate: Fraction = Field(description="fraction of the recordings that get no label")


class Robustness(FrozenModel):
    """Scores of corrupted recordings beside those of the same recordings as they were."""

    recordings: int = Field(ge=1)
    seed: int
    clean: CorruptionScores
    by_kind: dict[str, tuple[CorruptionScores, ...]] = Field(
        description="kind of corruption -> scores in severity 1, 2 and 3"
    )
    relative_accuracy: float = Field(
        ge=0, description="mean accuracy over all kinds and severities, divided by the clean one"
    )
    relative_uar: float = Field(ge=0, description="the same of the UAR")


class Metrics(FrozenModel):
    """Figures that `earshot evaluate` measured, and their protocol."""

    protocol: str
    held_out: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="corpus -> folds or speakers that were evaluated"
    )
    command: str
    date: date
    overall: Scores
    by_corpus: dict[str, Scores]
    expected_calibration_error: Fraction = Field(
        description="15 equal bins; the temperature was fitted on other groups than it is judged on"
    )
    accuracy_fp32: Fraction | None = Field(
        default=None,
        description="of the graph before quantisation, on the same clips; "
        "null where it was no longer at hand",
    )
    ood: OodMetrics | None = Field(
        default=None, description="null where the checkpoint does not detect such sounds"
    )
    robustness: Robustness | None = Field(
        default=None, description="null until `earshot evaluate --corruptions` has run"
    )
    generalization: dict[str, dict[str, GroupedScores]] = Field(
        default_factory=dict,
        description="protocol of `earshot evaluate --protocol` -> corpus or language -> scores",
    )
    street_tags: TagScores | None = Field(
        default=None, description="SONYC-UST, which was never trained on"
    )
    slices: dict[str, dict[str, GroupedScores]] = Field(
        default_factory=dict,
        description="attribute of `earshot evaluate --slices`, such as sex -> value, or `all` "
        "whose value is known -> scores of the held-out recordings",
    )
    commands: dict[str, str] = Field(
        default_factory=dict,
        description="field of these metrics, or `generalization.PROTOCOL` -> command that "
        "measured it",
    )


class ModelInfo(BaseModel):
    """A checkpoint of the store."""

    task: Slug
    name: Slug
    is_default: bool = Field(description="whether it answers where a request names no checkpoint")
    network: str | None = Field(default=None, examples=["resnet50"])
    window: str | None = Field(
        default=None, description="analysis window of its input", examples=["hann"]
    )
    status: CheckpointStatus = Field(
        description="loaded: answers at once; available: is loaded when it is first asked for; "
        "failed: see `error`"
    )
    version: str | None = None
    labels: list[str] | None = None
    clip_seconds: float | None = None
    on_device: bool = Field(
        default=False,
        description="whether it is a student that runs on the client's own device: "
        "`GET /models/{task}/{name}/model.onnx` gives its network",
    )
    metrics: Metrics | None = Field(
        default=None, description="measured on recordings that were held out of training"
    )
    error: str | None = Field(
        default=None,
        description="why it cannot be loaded or, where it is, why the store's new version does "
        "not take its place",
    )


class ModelList(BaseModel):
    """All checkpoints of the store."""

    models: list[ModelInfo]


class ReloadReport(BaseModel):
    """The checkpoints, `task/name`, that a reload changed."""

    replaced: list[str]
    added: list[str]
    removed: list[str]
    refused: dict[str, str] = Field(description="why each was refused; the old one goes on")


ExplanationMethod = Literal["class-activation", "occlusion"]


class ExplainedClip(BaseModel):
    """The clip of the recording that is explained."""

    clip: int = Field(ge=1, description="its number in the recording, from 1")
    start: Seconds
    end: Seconds


class Explanation(BaseModel):
    """Where in a clip's spectrogram the network found a label."""

    task: Slug
    label: str = Field(description="the label that is explained", examples=["siren"])
    probability: Probability = Field(description="calibrated probability of `label` in the clip")
    clip: ExplainedClip
    times: list[Seconds] = Field(
        description="centres of the map's columns, s of the recording", examples=[[0.0, 0.64, 1.28]]
    )
    frequencies: list[float] = Field(
        description="centres of the map's rows, Hz; one that stands for all of a waveform",
        examples=[[95.6, 1774.3]],
    )
    method: ExplanationMethod = Field(
        description="class-activation: the place's part of the logit (Zhou et al., CVPR 2016), "
        "for networks that end in a mean over places; occlusion: by how much the logit falls "
        "where the place is blanked (Zeiler and Fergus, ECCV 2014), for all others"
    )
    map: list[list[float]] = Field(
        description="evidence of each place for the label, [frequency][time]: the mean of all "
        "places plus `bias` is the label's logit, up to int8 rounding",
        examples=[[[0.022, 1.348, 2.398], [5.392, 5.119, 4.768]]],
    )
    bias: float = Field(description="the part of the logit that no place explains")
    checkpoint: CheckpointRef


class ClipEmbedding(BaseModel):
    """The embedding of one clip of a recording."""

    start: Seconds
    end: Seconds
    silent: bool = Field(
        default=False, description="whether nothing can be heard in it: it is not in the mean"
    )
    embedding: list[float] = Field(description="`dimension` numbers")


class Embeddings(BaseModel):
    """The features of a recording that the network's last layer reads."""

    task: Slug
    dimension: int = Field(description="numbers in each embedding", examples=[2048])
    normalised: bool = Field(
        default=False, description="whether each embedding has the Euclidean length 1"
    )
    embedding: list[float] = Field(
        description="of the recording: the mean over its clips, normalised after that",
    )
    clips: list[ClipEmbedding] = Field(
        default=[], description="of the clips, in their order; left out with `clips=false`"
    )
    audio: AudioInfo
    checkpoint: CheckpointRef
    warnings: list[str] = Field(
        default=[], description="what of the file could not be decoded or is missing"
    )


class SpectrogramData(BaseModel):
    """The levels of one recording by frequency and time."""

    title: str = Field(examples=["jazz: corner swing (hann window)"])
    times: list[Seconds] = Field(description="centres of the columns, s", examples=[[0.0, 0.0232]])
    frequencies: list[float] = Field(description="of the rows, Hz", examples=[[0.0, 10.767]])
    db: list[list[float]] = Field(
        description="dB, 0 the loudest point: [frequency][time]",
        examples=[[[-62.1, -58.94], [-12.5, 0.0]]],
    )


class SpectrogramList(BaseModel):
    """One spectrogram, or those that are compared, from left to right."""

    spectrograms: list[SpectrogramData]


class SpectralFeatures(BaseModel):
    """Features of a recording as librosa defines them.

    Spectral ones are means over the frames that are less than 60 dB below the loudest.
    """

    centroid: float = Field(description="mean frequency, weighted by magnitude, Hz")
    bandwidth: float = Field(
        description="standard deviation around the centroid, weighted by magnitude, Hz"
    )
    rolloff: float = Field(description="frequency below which 85 % of the magnitude lies, Hz")
    flatness: float = Field(
        description="geometric over arithmetic mean of the power: 0 a tone, 0.56 white noise"
    )
    contrast: float = Field(description="peaks over valleys of the spectrum in each octave, dB")
    zero_crossing_rate: float = Field(description="changes of sign a second")
    tempo: float = Field(
        description="beats a minute; the estimate favours 120, and means nothing without a beat"
    )
    mfcc: list[float] = Field(
        description="the first 13 mel-frequency cepstral coefficients, means over all frames, dB"
    )


class GenreTrack(BaseModel):
    """One recording of the gallery."""

    track: int = Field(ge=1, description="its number in `GET /spectrogram`", examples=[1])
    title: str = Field(examples=["corner swing"])
    seconds: Seconds | None = None
    features: SpectralFeatures | None = None
    error: str | None = Field(default=None, description="why it could not be measured")


class Genre(BaseModel):
    """The recordings of one genre."""

    genre: str = Field(examples=["jazz"])
    track_count: int = Field(ge=1, description="recordings of the genre")
    tracks: list[GenreTrack] = Field(description="the first `limit` of them")
    mean: SpectralFeatures | None = Field(default=None, description="over `tracks`")


class GenreList(BaseModel):
    """The whole gallery."""

    genres: list[Genre]


class Health(BaseModel):
    """The state of the process."""

    status: Literal["ok"]
    version: str = Field(description="of Earshot")


class Problem(BaseModel):
    """An error, as RFC 9457 describes one."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="identifies the type of problem", examples=["/problems/silent"])
    title: str = Field(examples=["The recording is silent"])
    status: int = Field(examples=[422])
    detail: str = Field(description="what was wrong, and what would be right")
    request_id: str | None = Field(
        default=None, description="as in the header X-Request-ID, and in the service's log"
    )


class ProblemTypeInfo(BaseModel):
    """What all problems of one type have in common."""

    type: str = Field(examples=["/problems/silent"])
    title: str = Field(examples=["The recording is silent"])
    status: int = Field(examples=[422])
    example: str = Field(description="a `detail`")
    remedy: str = Field(description="what to do about it")


class BatchLine(BaseModel):
    """The outcome of one file of a batch: a result, or a problem of its own."""

    index: int | None = Field(
        description="place of the file in the request, from 0; null for the request itself"
    )
    filename: str | None = Field(default=None, description="as it was sent")
    result: Classification | None = None
    problem: Problem | None = None
