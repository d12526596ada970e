"""What `earshot evaluate` measures beyond held-out recordings: each option, and the card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from app.checkpoints import store
from app.checkpoints.card import ShortRecordings
from app.checkpoints.store import Checkpoint, CheckpointError
from app.inference.engine import OpenVinoEngine
from earshot.schemas import GroupedScores, Metrics, OodFamilyScores, Robustness
from training.clip_outputs import RecordingOutputs, compute_outputs, map_in_threads
from training.corpora import CorpusError, LabeledRecording
from training.corruptions.material import load_test_backgrounds
from training.data_source import DataSource
from training.generalization import Generalization
from training.lengths import measure_lengths
from training.ood_families import load_families, score_family
from training.robustness import RobustnessTest, sample_evenly
from training.slices import measure_slices
from training.splits import hold_out, require_labels
from training.tasks import Protocol
from training.waveforms import decode_all, readable

_STREAMS = 2


@dataclass(frozen=True)
class ExtendedEvaluator:
    """Measures a checkpoint on recordings that are unlike those that it was tested on."""

    source: DataSource
    """the one that the checkpoint was trained on"""
    cache: Path
    """folder for decoded recordings"""

    def measure_corruptions(
        self,
        checkpoint: Checkpoint,
        folder: Path,
        *,
        count: int | None,
        seed: int,
        noise: Path | None,
        speech: Path | None,
    ) -> Robustness:
        """Classify the held-out recordings under every corruption; see `RobustnessTest`.

        Args:
            checkpoint: is measured.
            folder: keeps what is finished.
            count: of recordings to draw; None: all.
            seed: of everything random.
            noise: a folder of sounds for the background in place of ESC-50.
            speech: a folder of voices in place of the held-out speakers.

        Raises:
            BackgroundError, CorpusError, SplitError: see their modules.
            OSError: a folder cannot be written.
        """
        card = checkpoint.card
        recordings, test = self._held_out(checkpoint)
        sample_rate = card.input.sample_rate
        backgrounds = load_test_backgrounds(
            None if self.source.folder_per_label else self.source.path,
            card.task,
            recordings,
            sample_rate=sample_rate,
            cache=self.cache,
            noise=noise,
            speech=speech,
        )
        chosen = test if count is None else sample_evenly(test, count)
        waveforms = decode_all(chosen, sample_rate=sample_rate, cache=self.cache)
        usable = readable(chosen, waveforms)
        return RobustnessTest(usable, waveforms, backgrounds, seed).measure(checkpoint, folder)

    def measure_protocol(
        self, checkpoint: Checkpoint, protocol: Protocol, siblings: Sequence[Checkpoint]
    ) -> Mapping[str, object]:
        """Return the field of `Metrics` that a protocol fills, and its value.

        Raises:
            CorpusError, SplitError, CheckpointError: see `Generalization`.
        """
        if self.source.folder_per_label and protocol != "held-out":
            raise CorpusError(
                f"{protocol} needs the corpora, --data: folders of one's own do not tell corpora "
                "or languages; held-out is for them as well"
            )
        tests = Generalization(self.source.path, self.predict)
        if protocol == "street-tags":
            return {"street_tags": tests.measure_street_tags(checkpoint)}
        if protocol == "new-corpora":
            measured = tests.measure_new_corpora(checkpoint)
        else:
            recordings, _ = self._held_out(checkpoint)
            measured = (
                tests.measure_held_out(checkpoint, siblings, recordings)
                if protocol == "held-out"
                else tests.measure_left_out(protocol, checkpoint.card, siblings, recordings)
            )
        earlier = _metrics(checkpoint).generalization
        return {"generalization": {**earlier, protocol: measured}}

    def measure_slices(self, checkpoint: Checkpoint) -> dict[str, dict[str, GroupedScores]]:
        """Return attribute -> value -> scores of held-out recordings; see `training.slices`."""
        card = checkpoint.card
        _, test = self._held_out(checkpoint)
        usable, probabilities = self.predict(checkpoint, test)
        waveforms = decode_all(usable, sample_rate=card.input.sample_rate, cache=self.cache)
        y_true = np.array([card.labels.index(recording.label) for recording in usable])
        return measure_slices(
            usable, waveforms, card.input.sample_rate, y_true, probabilities.argmax(axis=1)
        )

    def measure_ood_families(self, checkpoint: Checkpoint) -> dict[str, OodFamilyScores]:
        """Return family of sounds -> how well it is rejected; see `training.ood_families`.

        Raises:
            CheckpointError: the checkpoint has no OOD detector.
            CorpusError: there are no such sounds.
        """
        card = checkpoint.card
        if card.ood is None or _metrics(checkpoint).ood is None:
            raise CheckpointError(f"{checkpoint.key} rejects nothing: it has no OOD detector")
        recordings, test = self._held_out(checkpoint)
        families = (
            {}
            if self.source.folder_per_label
            else load_families(self.source.path, card, recordings)
        )
        if not families:
            raise CorpusError(f"{self.source.path}: none of the families' corpora is here")
        in_distribution = self._ood_scores(checkpoint, test)
        return {
            family: score_family(in_distribution, self._ood_scores(checkpoint, found))
            for family, found in families.items()
        }

    def measure_lengths(
        self, checkpoint: Checkpoint, command: str, count: int | None
    ) -> ShortRecordings:
        """Return how far the held-out recordings can be cut; see `training.lengths`.

        Args:
            checkpoint: is measured.
            command: the command line, to stand beside the figures.
            count: of recordings to draw; None: all.
        """
        card = checkpoint.card
        _, test = self._held_out(checkpoint)
        chosen = test if count is None else sample_evenly(test, count)
        waveforms = decode_all(chosen, sample_rate=card.input.sample_rate, cache=self.cache)
        usable = readable(chosen, waveforms)
        engine = OpenVinoEngine(checkpoint.model, streams=_STREAMS)
        return measure_lengths(engine, usable, waveforms, card, command)

    def predict(
        self, checkpoint: Checkpoint, recordings: Sequence[LabeledRecording]
    ) -> tuple[list[LabeledRecording], NDArray[np.float64]]:
        """Return those that can be decoded, and their probabilities `[recordings, labels]`."""
        usable, outputs = self._outputs(checkpoint, recordings)
        card = checkpoint.card
        return usable, np.array([each.probabilities(card) for each in outputs], np.float64)

    def _ood_scores(
        self, checkpoint: Checkpoint, recordings: Sequence[LabeledRecording]
    ) -> NDArray[np.float32]:
        _, outputs = self._outputs(checkpoint, recordings)
        return np.concatenate([each.outputs for each in outputs])[:, -1]

    def _outputs(
        self, checkpoint: Checkpoint, recordings: Sequence[LabeledRecording]
    ) -> tuple[list[LabeledRecording], list[RecordingOutputs]]:
        card = checkpoint.card
        waveforms = decode_all(recordings, sample_rate=card.input.sample_rate, cache=self.cache)
        usable = readable(recordings, waveforms)
        engine = OpenVinoEngine(checkpoint.model)

        def compute(recording: LabeledRecording) -> RecordingOutputs:
            return compute_outputs(engine, waveforms[recording], card)

        outputs = map_in_threads(compute, usable)
        return usable, list(track(outputs, description=str(checkpoint.key), total=len(usable)))

    def _held_out(
        self, checkpoint: Checkpoint
    ) -> tuple[list[LabeledRecording], list[LabeledRecording]]:
        """Return all recordings of the task, and those that were held out of training."""
        card = checkpoint.card
        recordings, _ = self.source.load(card.task)
        test = hold_out(recordings, card.training.held_out).test
        require_labels(test, card.labels)
        return recordings, test


def require_metrics(checkpoint: Checkpoint) -> None:
    """Raise CheckpointError for a card that `earshot evaluate` has not filled in yet."""
    _metrics(checkpoint)


def write_metrics(
    checkpoint: Checkpoint, update: Mapping[str, object], command: str, protocol: str | None = None
) -> Checkpoint:
    """Add what was measured to the card, and the command that measured it.

    Args:
        checkpoint: whose card has metrics.
        update: field of `Metrics` -> value.
        command: the command line.
        protocol: the one that `generalization` got figures of, where it is in `update`.

    Raises CheckpointError when the card has no metrics or the store cannot be written.
    """
    metrics = _metrics(checkpoint)
    measured = [f"{field}.{protocol}" if field == "generalization" else field for field in update]
    commands = {**metrics.commands, **dict.fromkeys(measured, command)}
    new = metrics.model_copy(update={**update, "commands": commands})
    return store.replace_card(checkpoint, checkpoint.card.model_copy(update={"metrics": new}))


def _metrics(checkpoint: Checkpoint) -> Metrics:
    if checkpoint.card.metrics is None:
        raise CheckpointError(
            f"{checkpoint.key} has no metrics yet: run earshot evaluate without "
            "--corruptions, --protocol, --slices and --ood first"
        )
    return checkpoint.card.metrics
