"""The command `earshot fit`: from a folder of recordings to a checkpoint that answers."""

import argparse
import logging
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from httpx import TransportError
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from app.checkpoints import store
from app.checkpoints.card import Card, Corpus, OodDetector, Training
from app.checkpoints.store import Checkpoint, CheckpointError, ModelKey
from earshot import DEFAULT_SERVER
from earshot.client import Client
from earshot.errors import EarshotError
from earshot.schemas import Metrics, OodMetrics
from training import metrics
from training.corpora import CorpusError, LabeledRecording
from training.corpora.folders import CORPUS, LICENCE, load_folders
from training.linear_probe.backbone import Backbone, EmbeddedRecording, write_probe
from training.linear_probe.head import ProbeHead, fit_head
from training.splits import SplitError, require_groups
from training.waveforms import READER

log = logging.getLogger(__name__)

MAX_RECORDINGS = 2_500
"""that are read: more teach a linear head hardly more"""
_FOLDS = 5
_FEW_GROUPS = 5
"""of a label, below which what is measured of it says little"""
USER_ERRORS = (CorpusError, SplitError, CheckpointError, EarshotError, TransportError, OSError)


@dataclass(frozen=True)
class ProbeConfig:
    """What `earshot fit` is asked for."""

    folder: Path
    """one folder for each label, see `training.corpora.folders`"""
    key: ModelKey
    """of the new checkpoint"""
    backbone: Checkpoint
    """whose network is copied"""
    seed: int
    command: str
    """the command line, to stand beside the metrics"""


@dataclass(frozen=True)
class _Embedded:
    """Recordings that can be learned from, and their clips."""

    recordings: list[LabeledRecording]
    clips: list[NDArray[np.float32]]
    """of each recording, `[clips, features]`"""
    labels: tuple[str, ...]
    skipped: int

    @property
    def y_true(self) -> NDArray[np.intp]:
        return np.array([self.labels.index(each.label) for each in self.recordings])

    def fit(self, chosen: NDArray[np.intp]) -> ProbeHead:
        """Fit a head to the chosen recordings, which weigh the same however long they are."""
        counts = [len(self.clips[i]) for i in chosen]
        return fit_head(
            np.concatenate([self.clips[i] for i in chosen]),
            np.repeat(self.y_true[chosen], counts),
            np.repeat(1 / np.array(counts), counts),
            len(self.labels),
        )


def run(options: argparse.Namespace, command: str) -> None:
    """Run `earshot fit`, print how good the checkpoint is, and tell a service of it.

    Raises one of `USER_ERRORS`.
    """
    store.require_writable(options.store)
    config = ProbeConfig(
        options.folder,
        ModelKey(options.task, options.name),
        store.load_folder(options.backbone),
        options.seed,
        command,
    )
    checkpoint = fit_probe(config, options.store)
    sys.stdout.write(_summary(checkpoint.card))
    log.info("wrote %s", checkpoint.folder)
    if options.server is None:
        log.info(
            "a service of this store takes it when it starts, at SIGHUP (kill -HUP), or at POST "
            "/admin/reload; then: curl -F file=@FILE %s/classify/%s",
            DEFAULT_SERVER,
            options.task,
        )
        return
    with Client(options.server) as client:
        client.reload()
        served = [ModelKey(each.task, each.name) for each in client.models()]
    if checkpoint.key not in served:
        raise CheckpointError(
            f"{options.server} serves another store than {options.store}: it has no "
            f"{checkpoint.key} after its reload"
        )
    log.info("%s answers: POST /classify/%s", options.server, options.task)


def _summary(card: Card) -> str:
    """Return the metrics of a card, a line for each label."""
    assert card.metrics is not None
    scores = card.metrics.overall
    width = max(map(len, card.labels))
    counts = [sum(row) for row in scores.confusion]
    lines = [
        f"{label:{width}}  {scores.recall[label]:4.0%} of {count} recordings found"
        for label, count in zip(card.labels, counts, strict=True)
    ]
    return (
        "\n".join(
            [
                f"{card.task}/{card.name}: {scores.accuracy:.1%} of {scores.clips} recordings of "
                f"{scores.groups} groups right, each by a head that did not hear its group",
                *lines,
            ]
        )
        + "\n"
    )


def fit_probe(config: ProbeConfig, root: Path) -> Checkpoint:
    """Fit a head, measure it by cross-validation over groups, and write the checkpoint.

    Temperature and OOD threshold are fitted on the predictions of the cross-validation, each by a
    head that heard nothing of the recording's group.

    Args:
        config: what to fit.
        root: the store.

    Raises:
        CorpusError: the folder is not as expected, or too little of it can be heard.
        SplitError: a label has recordings of one group only.
        CheckpointError: the backbone gives no embedding, or the store cannot be written.
    """
    recordings = load_folders(config.folder)
    require_groups(recordings)
    chosen = _draw(recordings, config.seed)
    embedded = _embed(Backbone(config.backbone, READER), chosen)
    require_groups(embedded.recordings)
    _warn_of_few_groups(embedded.recordings)
    outputs, folds = _cross_validate(embedded, config.seed)
    head = embedded.fit(np.arange(len(embedded.recordings)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / store.MODEL
        write_probe(config.backbone, head, path)
        card = _make_card(config, embedded, outputs, folds, store.sha256(path))
        return store.save(root, card, {store.MODEL: path})


def _draw(recordings: Sequence[LabeledRecording], seed: int) -> list[LabeledRecording]:
    """Return the recordings to read: all, or of too many an equal number of each label."""
    if len(recordings) <= MAX_RECORDINGS:
        return list(recordings)
    order = np.random.default_rng(seed).permutation(len(recordings))
    rank: Counter[str] = Counter()
    places = []
    for i in order:
        rank[recordings[i].label] += 1
        places.append((rank[recordings[i].label], int(i)))
    drawn = sorted(i for _, i in sorted(places)[:MAX_RECORDINGS])
    log.warning(
        "%d recordings: %d of them are read, as many of each label as there are; a linear head "
        "hardly gains from more, `earshot train` does",
        len(recordings),
        len(drawn),
    )
    return [recordings[i] for i in drawn]


def _embed(backbone: Backbone, recordings: Sequence[LabeledRecording]) -> _Embedded:
    usable, clips = [], []
    by_digest: dict[str, LabeledRecording] = {}
    results = backbone.embed_all([each.path for each in recordings])
    for recording, result in zip(recordings, results, strict=True):
        if not isinstance(result, EmbeddedRecording):
            log.warning("left out %s: %s", recording.path, result)
            continue
        if not len(result.clips):
            log.warning("left out %s: nothing can be heard in it", recording.path)
            continue
        _require_no_copy(recording, by_digest.setdefault(result.digest, recording))
        usable.append(recording)
        clips.append(result.clips)
    labels = tuple(sorted({each.label for each in recordings}))
    lost = [label for label in labels if all(each.label != label for each in usable)]
    if lost:
        raise CorpusError(
            f"no recording of {', '.join(lost)} can be heard: silent, or in no accepted format; "
            "the warnings say which. Add others, or remove the label's folder"
        )
    return _Embedded(usable, clips, labels, len(recordings) - len(usable))


def _require_no_copy(recording: LabeledRecording, first: LabeledRecording) -> None:
    """Raise CorpusError where two recordings hold the same audio in different groups or labels."""
    if (first.group, first.label) == (recording.group, recording.label):
        return
    raise CorpusError(
        f"{first.path} and {recording.path} hold the same audio: one would be learned and the "
        "other measured. Remove one, or put both into one group"
    )


def _warn_of_few_groups(recordings: Sequence[LabeledRecording]) -> None:
    groups: dict[str, set[str]] = defaultdict(set)
    for each in recordings:
        groups[each.label].add(each.group)
    few = [label for label, found in sorted(groups.items()) if len(found) < _FEW_GROUPS]
    if few:
        log.warning(
            "%s: fewer than %d groups (recordings, speakers or sessions); what is measured of "
            "such a label says little",
            ", ".join(few),
            _FEW_GROUPS,
        )


def _cross_validate(
    embedded: _Embedded, seed: int
) -> tuple[list[NDArray[np.float32]], NDArray[np.intp]]:
    """Return each recording's outputs by a head of the other folds, and the fold that it is in."""
    y_true = embedded.y_true
    groups = [each.group for each in embedded.recordings]
    per_label = [
        len({each.group for each in embedded.recordings if each.label == label})
        for label in embedded.labels
    ]
    splitter = StratifiedGroupKFold(min(_FOLDS, *per_label), shuffle=True, random_state=seed)
    outputs: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(groups)
    folds = np.zeros(len(groups), np.intp)
    for number, (train, test) in enumerate(splitter.split(y_true[:, None], y_true, groups)):
        head = embedded.fit(train)
        folds[test] = number
        for i in test:
            outputs[i] = head.outputs(embedded.clips[i])
    return outputs, folds


def _make_card(
    config: ProbeConfig,
    embedded: _Embedded,
    outputs: list[NDArray[np.float32]],
    folds: NDArray[np.intp],
    sha256: str,
) -> Card:
    base = config.backbone.card
    y_true, labels = embedded.y_true, embedded.labels
    logits = [of_recording[:, :-1] for of_recording in outputs]
    temperature = round(metrics.fit_temperature(logits, y_true), 4)
    scores = np.concatenate(outputs)[:, -1]
    threshold = metrics.ood_threshold(scores)
    groups = len({each.group for each in embedded.recordings})
    measured = metrics.score(
        y_true,
        metrics.recording_probabilities(logits, temperature).argmax(axis=1),
        labels,
        groups,
    )
    calibrated = metrics.cross_fitted_probabilities(logits, y_true, [str(each) for each in folds])
    now = datetime.now(UTC)
    return Card(
        task=config.key.task,
        name=config.key.name,
        version=f"{now:%Y.%m.%d}-{sha256[:8]}",
        created=now.date(),
        labels=labels,
        network=base.network,
        input=base.input,
        temperature=temperature,
        ood=OodDetector(threshold=threshold),
        training=Training(
            # What the backbone may be used for is what the checkpoint may be used for.
            corpora=(
                *(each for each in base.training.corpora if each.name != CORPUS),
                Corpus(name=CORPUS, licence=LICENCE, clips=len(embedded.recordings), groups=groups),
            ),
            held_out=base.training.held_out,
            skipped_clips=embedded.skipped,
            epochs=1,
            seed=config.seed,
            pretrained=f"the checkpoint {base.task}/{base.name} {base.version}, as it is",
        ),
        metrics=Metrics(
            protocol=f"Cross-validated over {folds.max() + 1} folds of speakers or sources: each "
            "recording is classified by a head that was fitted on the other folds, the mean over "
            "its clips. The backbone is not fitted; the checkpoint's own head was fitted on all.",
            command=config.command,
            date=now.date(),
            overall=measured,
            by_corpus={CORPUS: measured},
            expected_calibration_error=round(
                metrics.expected_calibration_error(calibrated, y_true), 4
            ),
            accuracy_fp32=None,
            ood=OodMetrics(coverage=round(float(np.mean(scores >= threshold)), 4), by_source={}),
        ),
        files={store.MODEL: sha256},
    )
