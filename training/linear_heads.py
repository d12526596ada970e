"""Outputs of a network that are fitted on its own embedding, with the network left as it is."""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from app.audio.network_inputs import InputConfig
from training.corpora import LabeledRecording
from training.dataset import FirstClipDataset
from training.logistic_regression import fit_log_odds
from training.networks.classifier import HeadedNetwork
from training.sampling import balanced_weights
from training.waveforms import Waveforms

_MAX_RECORDINGS = 2_500
"""of either side of the OOD output: more teach a linear model hardly more"""
_BATCH_SIZE = 32


def add_ood_output(
    network: HeadedNetwork,
    in_distribution: Sequence[LabeledRecording],
    out_of_distribution: Sequence[LabeledRecording],
    waveforms: Waveforms,
    config: InputConfig,
    seed: int,
) -> None:
    """Give `network` one more output: the log odds that a clip is in distribution.

    A logistic regression between recordings that it was trained on and recordings of other
    kinds: the outlier exposure of Hendrycks, Mazeika and Dietterich (ICLR 2019). Its scale is
    that of the other outputs, since int8 rounds all of them alike.

    Args:
        network: trained; its other outputs stay as they are.
        in_distribution: recordings that it was trained on.
        out_of_distribution: recordings of other kinds.
        waveforms: of both.
        config: of the network's input.
        seed: of which recordings are taken where there are many.
    """
    rng = np.random.default_rng(seed)
    sides = [draw_recordings(each, rng) for each in (in_distribution, out_of_distribution)]
    embeddings = embed_recordings(
        network, FirstClipDataset([*sides[0], *sides[1]], waveforms, config)
    )
    inside, outside = np.split(embeddings, [len(sides[0])])
    append_ood_output(network, sides[0], inside, sides[1], outside)


def append_ood_output(
    network: HeadedNetwork,
    in_distribution: Sequence[LabeledRecording],
    inside: NDArray[np.float32],
    out_of_distribution: Sequence[LabeledRecording],
    outside: NDArray[np.float32],
) -> None:
    """Do what `add_ood_output` does with embeddings `[recordings, features]` of both sides."""
    # No speaker or source is to weigh much.
    weights = [
        balanced_weights(side, by_label=False) for side in (in_distribution, out_of_distribution)
    ]
    direction, offset = fit_log_odds(inside, outside, *weights)
    embeddings = np.concatenate([inside, outside])
    others = embeddings @ network.linear.weight.detach().numpy().T
    scale = np.std(others) / max(float(np.std(embeddings @ direction)), 1e-6)
    network.add_output(torch.from_numpy(scale * direction), float(scale) * offset)


def draw_recordings(
    recordings: Sequence[LabeledRecording], rng: np.random.Generator
) -> list[LabeledRecording]:
    """Return some of the recordings, as many as one side of the OOD output needs."""
    return [recordings[i] for i in rng.permutation(len(recordings))[:_MAX_RECORDINGS]]


def embed_recordings(
    network: HeadedNetwork, clips: FirstClipDataset, *, precise: bool = False
) -> NDArray[np.float32]:
    """Return the features that the head reads, `[recordings, features]`.

    They are computed in bfloat16 unless they have to be `precise`: its 8 bits leave little of a
    spectrum that spans 80 dB, where the network computes one itself.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # A copy: weights in another order of memory are exported as another graph.
    copied = deepcopy(network).eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches: list[Tensor] = []
    bfloat16 = torch.autocast(device.type, torch.bfloat16, enabled=not precise)
    with torch.inference_mode(), bfloat16:
        loader = track(DataLoader(clips, batch_size=_BATCH_SIZE), description="embedding")
        batches.extend(copied.embed(batch.to(device)).float().cpu() for batch in loader)
    embeddings: NDArray[np.float32] = torch.cat(batches).numpy()
    return embeddings
