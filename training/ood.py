"""One more output for a trained network: a score that is low for out-of-distribution clips.

A logistic regression on the network's own embedding, between recordings that it was trained on
and recordings of other kinds: the outlier exposure of Hendrycks, Mazeika and Dietterich (ICLR
2019), with the network left as it is.
"""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from app.audio.log_mel import LogMelConfig
from training.corpora import LabeledRecording
from training.dataset import SpectrogramDataset
from training.logistic_regression import fit_logistic
from training.networks import AudioClassifier
from training.sampling import balanced_weights
from training.waveforms import Waveforms

_MAX_RECORDINGS = 2_500
"""of either side: more teach a linear model hardly more"""
_BATCH_SIZE = 32


def add_ood_output(
    network: AudioClassifier,
    in_distribution: Sequence[LabeledRecording],
    out_of_distribution: Sequence[LabeledRecording],
    waveforms: Waveforms,
    config: LogMelConfig,
    seed: int,
) -> None:
    """Give `network` one more output: the log odds that a clip is in distribution.

    Its scale is that of the other outputs, since int8 rounds all of them alike.

    Args:
        network: trained; its other outputs stay as they are.
        in_distribution: recordings that it was trained on.
        out_of_distribution: recordings of other kinds.
        waveforms: of both.
        config: of the network's input.
        seed: of which recordings are taken where there are many.
    """
    rng = np.random.default_rng(seed)
    sides = [_sample(in_distribution, rng), _sample(out_of_distribution, rng)]
    y_true = np.repeat([1, 0], [len(side) for side in sides])
    # Both sides are to weigh the same, and no speaker or source much.
    weights = np.concatenate([balanced_weights(side, by_label=False) for side in sides])
    embeddings = _embed(network, SpectrogramDataset([*sides[0], *sides[1]], waveforms, config))
    coefficients, intercepts = fit_logistic(embeddings, y_true, weights, 2)
    direction, offset = coefficients[1] - coefficients[0], intercepts[1] - intercepts[0]
    others = embeddings @ network.linear.weight.detach().numpy().T
    scale = np.std(others) / max(float(np.std(embeddings @ direction)), 1e-6)
    network.add_output(torch.from_numpy(scale * direction), float(scale * offset))


def _sample(
    recordings: Sequence[LabeledRecording], rng: np.random.Generator
) -> list[LabeledRecording]:
    return [recordings[i] for i in rng.permutation(len(recordings))[:_MAX_RECORDINGS]]


def _embed(network: AudioClassifier, spectrograms: SpectrogramDataset) -> NDArray[np.float32]:
    """Return the features that the head reads, `[recordings, features]`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # A copy: weights in another order of memory are exported as another graph.
    backbone = deepcopy(network.backbone).eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches: list[Tensor] = []
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
        loader = track(DataLoader(spectrograms, batch_size=_BATCH_SIZE), description="embedding")
        batches.extend(backbone(batch.to(device)).float().cpu() for batch in loader)
    embeddings: NDArray[np.float32] = torch.cat(batches).numpy()
    return embeddings
