"""A teacher that labels any crop: targets that know more than the labels do."""

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.model_selection import StratifiedGroupKFold

from app.checkpoints.store import Checkpoint
from app.inference.engine import OpenVinoEngine, apply_temperature, recording_outputs
from training.corpora import LabeledRecording
from training.logistic_regression import fit_logistic
from training.pretrained import heard_groups, require_unheard
from training.runs import RunError
from training.sampling import balanced_weights
from training.teachers.yamnet import Yamnet
from training.waveforms import Waveforms

SAMPLE_RATE = 16_000
"""of what teachers hear, Hz"""

_FOLDS = 5


class SoftLabelTeacher(Protocol):
    """Predicts the labels of crops."""

    def predict_proba(self, samples: NDArray[np.float32], group: str) -> NDArray[np.float32]:
        """Return the probability of each label, shape `[labels]`.

        Args:
            samples: a crop, mono at 16 kHz.
            group: of its recording.
        """
        ...


class CheckpointTeacher:
    """Predicts the labels of crops by a checkpoint that is served."""

    def __init__(
        self, checkpoint: Checkpoint, labels: Sequence[str], test: Sequence[LabeledRecording]
    ) -> None:
        """Compile its network.

        Args:
            checkpoint: reads 16 kHz.
            labels: of the student.
            test: recordings that the student is to be measured on.

        Raises RunError when it has other labels or another sample rate, or may have heard `test`.
        """
        card = checkpoint.card
        if card.labels != tuple(labels) or card.input.sample_rate != SAMPLE_RATE:
            raise RunError(
                f"{checkpoint.folder}: a teacher has the labels {', '.join(labels)} and reads "
                f"{SAMPLE_RATE} Hz; this one has {', '.join(card.labels)} and reads "
                f"{card.input.sample_rate} Hz"
            )
        groups = frozenset(each.group for each in test)
        require_unheard(checkpoint.folder, heard_groups(card.training, test), groups)
        self._card = card
        self._checkpoint = checkpoint
        self._engine = OpenVinoEngine(checkpoint.model)

    def predict_proba(self, samples: NDArray[np.float32], _: str) -> NDArray[np.float32]:
        """See `SoftLabelTeacher.predict_proba`."""
        outputs = recording_outputs(self._engine, samples, self._card.input)
        logits = outputs[:, : len(self._card.labels)]
        mean: NDArray[np.float32] = apply_temperature(logits, self._card.temperature).mean(axis=0)
        return mean

    @functools.cached_property
    def _embedding_engine(self) -> OpenVinoEngine:
        return OpenVinoEngine(self._checkpoint.model, embeds=True)

    def embed(self, samples: NDArray[np.float32], _: str) -> NDArray[np.float32]:
        """Return the mean of what the last layer of its network reads of each clip, `[features]`.

        Raises ValueError when it has no embedding; see `embedding_output`.
        """
        embeddings = recording_outputs(self._embedding_engine, samples, self._card.input)
        mean: NDArray[np.float32] = embeddings.mean(axis=0)
        return mean


class YamnetTeacher:
    """Predicts the labels of crops by logistic regression on YAMNet's embedding.

    The prediction for a recording comes from a regression that was not fitted on its group (as
    `sklearn.model_selection.cross_val_predict` does): on what it was fitted on it would only
    repeat the labels.
    """

    def __init__(
        self,
        recordings: Sequence[LabeledRecording],
        waveforms: Waveforms,
        labels: Sequence[str],
        seed: int,
    ) -> None:
        """Fit the regressions.

        Args:
            recordings: labelled, of at least two groups, none of them held out.
            waveforms: of the recordings, at YAMNet's sample rate.
            labels: in the order of the predictions.
            seed: of how groups are divided into folds.
        """
        self._yamnet = Yamnet()
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            embeddings = np.stack(
                list(pool.map(lambda each: self._yamnet.embed(waveforms[each]), recordings))
            )
        y_true = np.array([labels.index(recording.label) for recording in recordings])
        groups = np.array([recording.group for recording in recordings])
        folds = StratifiedGroupKFold(min(_FOLDS, len(set(groups))), shuffle=True, random_state=seed)
        self._fold_of: dict[str, int] = {}
        models = []
        for number, (train, test) in enumerate(folds.split(embeddings, y_true, groups)):
            weights = balanced_weights([recordings[i] for i in train], by_label=True)
            models.append(fit_logistic(embeddings[train], y_true[train], weights, len(labels)))
            self._fold_of |= dict.fromkeys(groups[test].tolist(), number)
        self._weights = np.stack([weights for weights, _ in models])
        self._biases = np.stack([biases for _, biases in models])

    def predict_proba(self, samples: NDArray[np.float32], group: str) -> NDArray[np.float32]:
        """See `SoftLabelTeacher.predict_proba`.

        For a recording whose group was not fitted, all regressions are averaged.
        """
        embedding = self._yamnet.embed(samples)
        fold = self._fold_of.get(group)
        models = slice(None) if fold is None else slice(fold, fold + 1)
        logits = self._weights[models] @ embedding + self._biases[models]
        mean: NDArray[np.float32] = softmax(logits, axis=1).mean(axis=0)
        return mean
