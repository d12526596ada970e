"""Weights to start from, and the recordings that they were trained on."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from training.networks import AudioClassifier
from training.runs import RunError


@dataclass(frozen=True)
class Pretraining:
    """The origin of pretrained weights."""

    description: str
    groups: frozenset[str]
    """`LabeledRecording.group` of everything that they were trained on"""


def save_pretrained(path: Path, network: AudioClassifier, pretraining: Pretraining) -> None:
    """Write the network's weights with a note of their origin."""
    save_file(
        {name: weight.contiguous() for name, weight in network.state_dict().items()},
        path,
        metadata={
            "description": pretraining.description,
            "groups": json.dumps(sorted(pretraining.groups)),
        },
    )


def load_pretrained(path: Path, network: AudioClassifier, test: frozenset[str]) -> Pretraining:
    """Load the backbone's weights from a file of `save_pretrained`.

    Args:
        path: the file.
        network: takes the weights.
        test: groups that the result is to be measured on.

    Raises RunError when the file is none of ours, or its weights were trained on one of `test`.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        groups = frozenset(json.loads(metadata["groups"]))
        network.load_backbone(load_file(path))
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise RunError(f"{path}: not weights of earshot pretrain: {error}") from error
    leaked = sorted(test & groups)
    if leaked:
        raise RunError(
            f"{path}: these weights were trained on {len(leaked)} of the held-out groups "
            f"({', '.join(leaked[:3])}{', ...' if len(leaked) > 3 else ''}); "
            "hold out the same there and here"
        )
    return Pretraining(metadata["description"], groups)
