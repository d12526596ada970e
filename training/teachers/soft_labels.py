"""What a large tagger makes of a task: targets that know more than the labels do."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.model_selection import StratifiedGroupKFold

from training.corpora import Clip
from training.regression import fit_logistic
from training.sampling import balanced_weights
from training.teachers.yamnet import Yamnet
from training.waveforms import Waveforms

_READERS = 5


class Tutor:
    """Opinions on the labels of crops, by logistic regression on YAMNet's embedding.

    An opinion on a clip comes from a regression that was not fitted on its group: about what
    it was fitted on it would only repeat the labels. Knowledge distillation: Hinton, Vinyals
    and Dean, 2015.
    """

    def __init__(
        self, clips: Sequence[Clip], waveforms: Waveforms, labels: Sequence[str], seed: int
    ) -> None:
        """Fit the regressions.

        Args:
            clips: labelled clips of at least two groups, none of them held out.
            waveforms: of the clips, at YAMNet's sample rate.
            labels: in the order of the opinions.
            seed: of how groups are divided.
        """
        self._tagger = Yamnet()
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            embeddings = np.stack(
                list(pool.map(lambda clip: self._tagger.embed(waveforms[clip]), clips))
            )
        truth = np.array([labels.index(clip.label) for clip in clips])
        groups = np.array([clip.group for clip in clips])
        count = min(_READERS, len(set(groups)))
        folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        self._reader_of: dict[str, int] = {}
        readers = []
        for number, (others, own) in enumerate(folds.split(embeddings, truth, groups)):
            weights = balanced_weights([clips[i] for i in others], by_label=True)
            readers.append(fit_logistic(embeddings[others], truth[others], weights, len(labels)))
            self._reader_of |= dict.fromkeys(groups[own].tolist(), number)
        self._weights = np.stack([weights for weights, _ in readers])
        self._biases = np.stack([biases for _, biases in readers])

    def opinion(self, samples: NDArray[np.float32], group: str) -> NDArray[np.float32]:
        """Probabilities `[labels]` for a crop of a clip of `group`, mono at 16 kHz."""
        embedding = self._tagger.embed(samples)
        own = self._reader_of.get(group)
        readers = slice(None) if own is None else slice(own, own + 1)
        scores = self._weights[readers] @ embedding + self._biases[readers]
        mean: NDArray[np.float32] = softmax(scores, axis=1).mean(axis=0)
        return mean
