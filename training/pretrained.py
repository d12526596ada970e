"""Weights to start from, and what they must never have heard."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from training.networks.resnet import ResNetAudioClassifier
from training.runs import RunError


@dataclass(frozen=True)
class Pretraining:
    """Where pretrained weights come from."""

    description: str
    heard: frozenset[str]
    """groups (`Clip.group`) that they were trained on"""


def save_pretrained(path: Path, network: ResNetAudioClassifier, pretraining: Pretraining) -> None:
    """Write the network's weights with a note of their origin."""
    save_file(
        {name: weight.contiguous() for name, weight in network.state_dict().items()},
        path,
        metadata={
            "description": pretraining.description,
            "heard": json.dumps(sorted(pretraining.heard)),
        },
    )


def start_from(path: Path, network: ResNetAudioClassifier, test: frozenset[str]) -> Pretraining:
    """Load the body's weights from `path`.

    Args:
        path: a file of `save_pretrained`.
        network: takes the weights.
        test: groups that the result is to be measured on.

    Raises RunError when the file is none of ours, or its weights were trained on one of `test`.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        pretraining = Pretraining(metadata["description"], frozenset(json.loads(metadata["heard"])))
        network.load_body(load_file(path))
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise RunError(f"{path}: not weights of earshot pretrain: {error}") from error
    heard = sorted(test & pretraining.heard)
    if heard:
        raise RunError(
            f"{path}: pretraining has heard {len(heard)} of the held-out groups "
            f"({', '.join(heard[:3])}{', ...' if len(heard) > 3 else ''}); "
            "hold out the same there and here"
        )
    return pretraining
