"""`earshot evaluate --protocol`: measure a checkpoint on what its training never heard.

The protocols of emotion go from near to far: other speakers of the same corpora, other corpora,
other languages. The street's is about tags that were never labels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.audio.log_mel import LogMelConfig
from app.checkpoints.card import Card
from app.checkpoints.store import Checkpoint, CheckpointError
from earshot.schemas import GroupedScores, TagScores
from training.attributes import LANGUAGES
from training.corpora import CORPORA, CorpusError, LabeledRecording, load_corpora
from training.intervals import grouped_scores, tag_scores
from training.networks import SPEECH_ENCODER
from training.splits import SplitError, hold_out
from training.tasks import TASKS, RetrainedProtocol

STREET_CORPUS = "sonyc"
STREET_TASK = "urban-sound"
STREET_TAGS: Mapping[str, tuple[str, ...]] = {
    "alert_signal": ("car_horn", "siren"),
    "dog": ("dog_bark",),
    "engine": ("engine_idling",),
    "human_voice": ("children_playing",),
    "machinery_impact": ("drilling", "jackhammer"),
    "music": ("street_music",),
}
"""tag of SONYC-UST -> labels that it covers; its other tags have none, nor have other labels"""

Probabilities = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Predict = Callable[
    [Checkpoint, Sequence[LabeledRecording]], tuple[list[LabeledRecording], Probabilities]
]
"""returns the recordings that could be decoded, and their probabilities `[recordings, labels]`"""


@dataclass(frozen=True)
class Generalization:
    """Measures checkpoints on the corpora below one folder."""

    data: Path
    predict: Predict

    def measure_held_out(
        self,
        checkpoint: Checkpoint,
        siblings: Sequence[Checkpoint],
        recordings: Sequence[LabeledRecording],
    ) -> dict[str, GroupedScores]:
        """Return the scores of each corpus' held-out speakers or sources.

        Args:
            checkpoint: is measured, and its siblings' folds beside its own.
            siblings: trained by the same recipe with other folds held out.
            recordings: of the task.
        """
        measured = {}
        for each in (checkpoint, *siblings):
            folds = each.card.training.held_out
            test = hold_out(recordings, folds).test
            for corpus, scores in self._by_name(each, test, lambda of: of.corpus).items():
                name = corpus if each is checkpoint else f"{corpus}: {', '.join(folds[corpus])}"
                measured[name] = scores
        return measured

    def measure_new_corpora(self, checkpoint: Checkpoint) -> dict[str, GroupedScores]:
        """Return the scores of each corpus of the task that training had nothing of.

        Raises CorpusError when there is none below the folder.
        """
        card = checkpoint.card
        trained = {corpus.name for corpus in card.training.corpora}
        of_task = TASKS[card.task].corpora if card.task in TASKS else ()
        names = [name for name in of_task if name not in trained]
        found = load_corpora(self.data, names, optional=True) if names else []
        if not found:
            folders = ", ".join(CORPORA[name].folder for name in names) or "no corpus is left"
            raise CorpusError(
                f"{self.data}: no corpus that {checkpoint.key} was not trained on ({folders})"
            )
        return self._by_name(checkpoint, found, lambda each: each.corpus)

    def measure_left_out(
        self,
        protocol: RetrainedProtocol,
        card: Card,
        siblings: Sequence[Checkpoint],
        recordings: Sequence[LabeledRecording],
    ) -> dict[str, GroupedScores]:
        """Return the scores of each corpus, or language, that a sibling was trained without.

        Args:
            protocol: whether to name corpora or languages.
            card: of the checkpoint whose siblings they are.
            siblings: each trained by the same recipe without one corpus, or one language.
            recordings: of the task.

        Raises:
            SplitError: the task's corpora are of one language; or no sibling is given, or one
                lacks nothing that `card` was trained on: the message has commands to train some.
            CheckpointError: a sibling is of another task.
        """
        by_language = protocol == "leave-language-out"
        trained = _corpora_of_task(card)
        if len({LANGUAGES.get(name) for name in trained} if by_language else trained) < 2:
            what = "language" if by_language else "corpus"
            raise SplitError(
                f"{protocol} needs two at least, and {card.task}/{card.name} was trained on one "
                f"{what}: {', '.join(trained)}"
            )
        commands = training_commands(protocol, card, recordings)
        if not siblings:
            raise SplitError(f"{protocol} needs --sibling STORE; {commands}")
        measured: dict[str, GroupedScores] = {}
        for sibling in siblings:
            if (sibling.card.task, sibling.card.labels) != (card.task, card.labels):
                raise CheckpointError(f"{sibling.card.version} is of another task than {card.task}")
            known = {corpus.name for corpus in sibling.card.training.corpora}
            left_out = [name for name in trained if name not in known]
            if by_language:
                languages = {LANGUAGES[name] for name in known}
                left_out = [name for name in left_out if LANGUAGES[name] not in languages]
            found = [recording for recording in recordings if recording.corpus in left_out]
            if not found:
                raise SplitError(
                    f"{sibling.card.version} lacks nothing that {card.version} was trained on; "
                    + commands
                )
            measured |= self._by_name(
                sibling,
                found,
                lambda each: LANGUAGES[each.corpus] if by_language else each.corpus,
            )
        return measured

    def measure_street_tags(self, checkpoint: Checkpoint) -> TagScores:
        """Compare probabilities with the tags of SONYC-UST, ten seconds of street each.

        The score of a tag is the probability of all labels that it covers.

        Raises:
            CheckpointError: the checkpoint knows none of the labels.
            CorpusError: the corpus is not below the folder, or not as expected.
        """
        card = checkpoint.card
        missing = [
            label for labels in STREET_TAGS.values() for label in labels if label not in card.labels
        ]
        if missing:
            raise CheckpointError(
                f"street-tags is for checkpoints of {STREET_TASK}; "
                f"{checkpoint.key} has no label {', '.join(missing)}"
            )
        found = load_corpora(self.data, [STREET_CORPUS])
        recordings, probabilities = self.predict(checkpoint, found)
        tags = [set(recording.label.split("+")) for recording in recordings]
        columns = [[card.labels.index(label) for label in of] for of in STREET_TAGS.values()]
        return tag_scores(
            np.array([[tag in of_recording for tag in STREET_TAGS] for of_recording in tags]),
            np.stack([probabilities[:, chosen].sum(axis=1) for chosen in columns], axis=1),
            list(STREET_TAGS),
            [recording.group for recording in recordings],
        )

    def _by_name(
        self,
        checkpoint: Checkpoint,
        recordings: Sequence[LabeledRecording],
        name: Callable[[LabeledRecording], str],
    ) -> dict[str, GroupedScores]:
        labels = checkpoint.card.labels
        usable, probabilities = self.predict(checkpoint, recordings)
        y_true = np.array([labels.index(recording.label) for recording in usable])
        y_pred = probabilities.argmax(axis=1)
        names = np.array([name(recording) for recording in usable])
        groups = np.array([recording.group for recording in usable])
        return {
            str(each): grouped_scores(
                y_true[names == each], y_pred[names == each], groups[names == each].tolist()
            )
            for each in np.unique(names)
        }


def training_commands(
    protocol: RetrainedProtocol, card: Card, recordings: Sequence[LabeledRecording]
) -> str:
    """Return how to train the siblings that a protocol needs, a line for each.

    Args:
        protocol: whether to leave out corpora or languages.
        card: of the checkpoint whose siblings they are.
        recordings: of the task, to know the folds of each corpus.
    """
    parts: dict[str, list[str]] = {}
    for corpus in _corpora_of_task(card):
        part = LANGUAGES[corpus].lower() if protocol == "leave-language-out" else corpus
        parts.setdefault(part, []).append(corpus)
    window = f" --window {card.input.window}" if isinstance(card.input, LogMelConfig) else ""
    lines = []
    for part, corpora in parts.items():
        if card.network == SPEECH_ENCODER:
            without = " ".join(f"--leave-out {name}" for name in corpora)
            lines.append(
                f"  earshot fine-tune DIR ENCODER runs/{card.task}-without-{part} {without} "
                f"--name {card.name} --store runs/store-without-{part}"
            )
            continue
        options = [
            f"--hold-out {name}:{','.join(folds)}"
            for name in corpora
            if (folds := sorted({each.fold for each in recordings if each.corpus == name}))
        ]
        lines.append(
            f"  earshot train --task {card.task}{window} --name {card.name} --data DIR "
            f"{' '.join(options)} "
            f"--store runs/store-without-{part} --out runs/{card.task}-without-{part}"
        )
    return "train one with\n" + "\n".join(lines)


def _corpora_of_task(card: Card) -> list[str]:
    """Return the corpora whose labels were learned: others were heard in pretraining alone."""
    return [each.name for each in card.training.corpora if each.name in TASKS[card.task].corpora]
