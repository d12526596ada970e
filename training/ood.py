"""A last output for a trained network: how familiar a clip is.

A logistic regression on the network's own embedding, between clips that it was trained on and
clips of other kinds: the exposure to outliers of Hendrycks, Mazeika and Dietterich (ICLR 2019),
with the network left as it is.
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
from training.corpora import Clip
from training.dataset import Spectrograms
from training.networks.resnet import ResNetAudioClassifier
from training.regression import fit_logistic
from training.sampling import balanced_weights
from training.waveforms import Waveforms

_MOST_CLIPS = 2_500
"""of either kind: more teach a linear model hardly more"""
_BATCH = 32


def add_familiarity(
    network: ResNetAudioClassifier,
    known: Sequence[Clip],
    foreign: Sequence[Clip],
    waveforms: Waveforms,
    config: LogMelConfig,
    seed: int,
) -> None:
    """Give `network` one more output: the log odds that a clip is rather known than foreign.

    Its scale is that of the other outputs, since int8 rounds all of them alike.

    Args:
        network: trained; its other outputs stay as they are.
        known: clips that it was trained on.
        foreign: clips of other kinds.
        waveforms: of both.
        config: of the network.
        seed: of which clips are taken where there are many.
    """
    rng = np.random.default_rng(seed)
    chosen = [_draw(known, rng), _draw(foreign, rng)]
    clips = [clip for side in chosen for clip in side]
    truth = np.repeat([1, 0], [len(side) for side in chosen])
    # Both sides are to weigh the same, and no speaker or recording much.
    weights = np.concatenate([balanced_weights(side, by_label=False) for side in chosen])
    embeddings = _embed(network, Spectrograms(clips, waveforms, config))
    of_both, biases = fit_logistic(embeddings, truth, weights, 2)
    direction, offset = of_both[1] - of_both[0], biases[1] - biases[0]
    others = embeddings @ network.linear.weight.detach().numpy().T
    scale = np.std(others) / max(float(np.std(embeddings @ direction)), 1e-6)
    network.add_output(torch.from_numpy(scale * direction), float(scale * offset))


def _draw(clips: Sequence[Clip], rng: np.random.Generator) -> list[Clip]:
    return [clips[i] for i in rng.permutation(len(clips))[:_MOST_CLIPS]]


def _embed(network: ResNetAudioClassifier, clips: Spectrograms) -> NDArray[np.float32]:
    """What the head reads, `[clips, features]`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # A copy: weights in another order of memory are exported as another graph.
    body = deepcopy(network.body).eval().to(device, memory_format=torch.channels_last)
    batches: list[Tensor] = []
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
        loader = track(DataLoader(clips, batch_size=_BATCH), description="familiarity")
        batches.extend(body(spectrograms.to(device)).float().cpu() for spectrograms in loader)
    embeddings: NDArray[np.float32] = torch.cat(batches).numpy()
    return embeddings
