"""Weights to start from, and the recordings that they were trained on."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from app.checkpoints import store
from app.checkpoints.card import Training
from app.checkpoints.store import Checkpoint, ModelKey
from training.corpora import LabeledRecording
from training.networks import DEFAULT_NETWORK, AudioClassifier
from training.runs import CONFIG, WEIGHTS, RunError, load_run, save_weights
from training.splits import Split
from training.tasks import SHIPPED_STORE

_SHIPPED_SOUNDS = ModelKey("urban-sound", "hann")
"""which a task that no shipped checkpoint knows starts from"""
_ACCEPTED = (
    "weights to start from are `default`, STORE/TASK/CHECKPOINT, the folder of a finished run, or "
    "a file of earshot pretrain"
)


@dataclass(frozen=True)
class Pretraining:
    """The origin of pretrained weights."""

    description: str
    groups: frozenset[str]
    """`LabeledRecording.group` of everything that they were trained on"""
    training: Training | None = None
    """as the checkpoint's card or the run's record says; None: of `earshot pretrain`"""


def default_start(task: str, window: str) -> Path:
    """Return the folder of the shipped checkpoint that a task starts from.

    It is the one of the task and the window, or `urban-sound/hann` where none is of the task.
    Raises RunError where the checkout has it not.
    """
    key = ModelKey(task, window)
    if not (SHIPPED_STORE / task).is_dir():
        key = _SHIPPED_SOUNDS
    folder = SHIPPED_STORE / key.task / key.name
    if not (folder / store.CARD).is_file():
        raise RunError(f"{folder}: no shipped checkpoint {key}; {_ACCEPTED}")
    return folder


def require_start(path: Path, network: str, split: Split) -> None:
    """Check, before a long run, that `load_start` can start a kind of network from `path`.

    Args:
        path: see `load_start`.
        network: name in `training.networks.NETWORKS`.
        split: its test side must not have been heard.

    Raises:
        RunError: it is nothing to start from, or of another kind; the run has not finished; the
            weights were trained on a recording of the test side.
        CheckpointError: the checkpoint is damaged.
    """
    test = frozenset(recording.group for recording in split.test)
    if not path.exists():
        raise RunError(f"{path}: no such file or folder; {_ACCEPTED}")
    if path.is_file():
        require_unheard(path, _read_origin(path)[1], test)
        return
    if (path / store.CARD).is_file():
        card = store.load_folder(path).card
        found, groups = card.network, heard_groups(card.training, [*split.train, *split.test])
        if found == network != DEFAULT_NETWORK:
            raise RunError(
                f"{path}: the graph of a {found} does not give its weights back; start from the "
                "folder of its run"
            )
    elif (path / CONFIG).is_file():
        found, groups = load_run(path)[0].network, _read_origin(path / WEIGHTS)[1]
    else:
        raise RunError(f"{path}: neither a checkpoint nor a run; {_ACCEPTED}")
    if found != network:
        raise RunError(f"{path}: weights of a {found}, and a {network} is to be trained")
    require_unheard(path, groups, test)


def load_start(
    path: Path,
    network: AudioClassifier,
    labels: Sequence[str],
    split: Split,
    clips: Callable[[], Tensor],
) -> Pretraining:
    """Load the weights in `path` for a training to start from.

    Args:
        path: a file of `save_pretrained`, the folder of a finished run, or a checkpoint's.
        network: takes the weights of the backbone and, but for a file, those of the head for
            equal labels.
        labels: of the head.
        split: its test side must not have been heard by the weights.
        clips: gives inputs of the network, `[clips, 1, mels, frames]`.

    Raises:
        RunError: see `require_start`; or the weights were trained on a recording of the test side.
        CheckpointError: the checkpoint is damaged.
    """
    test = frozenset(recording.group for recording in split.test)
    if path.is_file():
        return load_pretrained(path, network, test)
    if (path / store.CARD).is_file():
        heard = [*split.train, *split.test]
        start = load_served(store.load_folder(path), network, labels, heard, clips())
    else:
        start = _load_own(path, network, labels)
    require_unheard(path, start.groups, test)
    return start


def _load_own(folder: Path, network: AudioClassifier, labels: Sequence[str]) -> Pretraining:
    """Load the weights of a finished run; raise RunError when they are of another network."""
    config, record, own = load_run(folder)
    try:
        network.load_backbone(own.state_dict())
    except RuntimeError as error:
        raise RunError(
            f"{folder}: weights of a {config.network} are none of {type(network).__name__}"
        ) from error
    if record.labels == tuple(labels):
        network.linear.load_state_dict(own.linear.state_dict())
    _, groups = _read_origin(folder / WEIGHTS)
    return Pretraining(f"the run {config.task}/{config.name}", groups, record.training)


def _read_origin(path: Path) -> tuple[str, frozenset[str]]:
    """Return the description and the groups of a file of weights; raise RunError for others."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        return metadata["description"], frozenset(json.loads(metadata["groups"]))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunError(f"{path}: not weights of earshot pretrain: {error}; {_ACCEPTED}") from error


def save_pretrained(path: Path, network: AudioClassifier, pretraining: Pretraining) -> None:
    """Write the network's weights with a note of their origin."""
    save_weights(path, network, pretraining.description, pretraining.groups)


def load_pretrained(path: Path, network: AudioClassifier, test: frozenset[str]) -> Pretraining:
    """Load the backbone's weights from a file of `save_pretrained`.

    Args:
        path: the file.
        network: takes the weights.
        test: groups that the result is to be measured on.

    Raises RunError when the file is none of ours, or its weights were trained on one of `test`.
    """
    description, groups = _read_origin(path)
    try:
        network.load_backbone(load_file(path))
    except RuntimeError as error:
        raise RunError(f"{path}: not weights of {type(network).__name__}: {error}") from error
    require_unheard(path, groups, test)
    return Pretraining(description, groups)


def require_unheard(path: Path, heard: frozenset[str], test: frozenset[str]) -> None:
    """Raise RunError when weights or a teacher in `path` heard a group that is tested on."""
    leaked = sorted(test & heard)
    if leaked:
        raise RunError(
            f"{path}: trained on {len(leaked)} of the held-out groups "
            f"({', '.join(leaked[:3])}{', ...' if len(leaked) > 3 else ''}); "
            "hold out the same there and here"
        )


def load_served(
    checkpoint: Checkpoint,
    network: AudioClassifier,
    labels: Sequence[str],
    recordings: Sequence[LabeledRecording],
    clips: Tensor,
) -> Pretraining:
    """Load the weights of a checkpoint that is served: its int8 graph, dequantised.

    The graph has its batch normalisations folded into the convolutions. They are unfolded by
    what `clips` give: in training, batches like these are normalised to what the graph computes.

    Args:
        checkpoint: of the kind of `network`.
        network: takes the weights of the backbone, and those of the head for equal labels.
        labels: of the head.
        recordings: of which some may have been heard in the checkpoint's training.
        clips: inputs of the network, `[clips, 1, mels, frames]`.

    Raises RunError when the checkpoint is of another kind.
    """
    try:
        weights = _dequantised(checkpoint.model)
        backbone = network.backbone
        biases = {}
        with torch.no_grad():
            for name, module in backbone.named_modules():
                if isinstance(module, nn.Conv2d):
                    module.weight.copy_(weights[f"{name}.weight"])
                    biases[_normalisation_of(name)] = weights[f"{name}.bias"]
            if checkpoint.card.labels == tuple(labels):
                network.linear.weight.copy_(weights["head.weight"][: len(labels)])
                network.linear.bias.copy_(weights["head.bias"][: len(labels)])
            _unfold_normalisations(backbone, biases, clips)
    except (KeyError, RuntimeError, ValueError) as error:
        raise RunError(
            f"{checkpoint.folder}: not the weights of {type(network).__name__}: {error}"
        ) from error
    card = checkpoint.card
    description = f"the checkpoint {card.task}/{card.name} {card.version}"
    return Pretraining(description, heard_groups(card.training, recordings), card.training)


def heard_groups(training: Training, recordings: Sequence[LabeledRecording]) -> frozenset[str]:
    """Return the groups of the recordings that a checkpoint may have been trained on."""
    corpora = {corpus.name for corpus in training.corpora}
    held_out = training.held_out
    return frozenset(
        each.group
        for each in recordings
        if each.corpus in corpora and each.fold not in held_out.get(each.corpus, ())
    )


def _dequantised(model: Path) -> dict[str, Tensor]:
    """Return weights and biases of the convolutions and of the head, by their names in PyTorch."""
    graph = onnx.load(model).graph
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in arrays:
            values, scale, zero = (arrays[name] for name in node.input)
            shape = [-1] + [1] * (values.ndim - 1) if scale.ndim else []
            steps = values.astype("float32") - zero.astype("float32").reshape(shape)
            arrays[node.output[0]] = steps * scale.reshape(shape)
    weights: dict[str, Tensor] = {}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            weight, bias = (torch.from_numpy(arrays[name].copy()) for name in node.input[1:])
            name = node.input[1].split("_")[0].removesuffix(".weight").split(".", 1)[1]
            name = "head" if node.op_type == "Gemm" else name
            weights |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return weights


def _normalisation_of(convolution: str) -> str:
    """Return the name of the batch normalisation behind a convolution of torchvision's ResNet."""
    if convolution.endswith("downsample.0"):
        return convolution.removesuffix("0") + "1"
    return convolution.replace("conv", "bn")


def _unfold_normalisations(backbone: nn.Module, biases: dict[str, Tensor], clips: Tensor) -> None:
    """Set each batch normalisation so that it adds a bias, and normalises what `clips` give."""

    def set_normalisation(module: nn.Module, inputs: tuple[Tensor], _: Tensor) -> Tensor:
        assert isinstance(module, nn.BatchNorm2d)
        assert module.running_mean is not None
        assert module.running_var is not None
        bias = biases[names[module]]
        module.running_mean.copy_(inputs[0].mean(dim=(0, 2, 3)))
        module.running_var.copy_(inputs[0].var(dim=(0, 2, 3)))
        module.weight.copy_((module.running_var + module.eps).sqrt())
        module.bias.copy_(bias + module.running_mean)
        return inputs[0] + bias[:, None, None]

    names = {
        module: name
        for name, module in backbone.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    }
    hooks = [module.register_forward_hook(set_normalisation) for module in names]
    backbone.eval()(clips)
    for hook in hooks:
        hook.remove()
    backbone.train()
