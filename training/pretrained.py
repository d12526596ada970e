"""Weights to start from, and what they must never have heard."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from training.network import ResNetAudioClassifier
from training.runs import RunError


@dataclass(frozen=True)
class Pretraining:
    """Where pretrained weights come from."""

    description: str
    held_out: frozenset[str]
    """groups (`Clip.group`) that were left out"""


def save_pretrained(path: Path, network: ResNetAudioClassifier, pretraining: Pretraining) -> None:
    """Write the network's weights with a note of their origin."""
    save_file(
        {name: weight.contiguous() for name, weight in network.state_dict().items()},
        path,
        metadata={
            "description": pretraining.description,
            "held_out": json.dumps(sorted(pretraining.held_out)),
        },
    )


def start_from(path: Path, network: ResNetAudioClassifier, held_out: frozenset[str]) -> Pretraining:
    """Load the body's weights from `path`.

    Raises RunError when the file is none of ours, or when those weights have been trained
    on a group that `held_out` is to be measured on.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        pretraining = Pretraining(
            metadata["description"], frozenset(json.loads(metadata["held_out"]))
        )
        network.load_body(load_file(path))
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise RunError(f"{path}: not weights of earshot pretrain: {error}") from error
    heard = sorted(held_out - pretraining.held_out)
    if heard:
        raise RunError(
            f"{path}: pretraining may have heard {len(heard)} of the held-out groups "
            f"({', '.join(heard[:3])}, ...); hold out the same there and here"
        )
    return pretraining
