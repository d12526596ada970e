"""What a network listened to: class activation maps.

Zhou, Khosla, Lapedriza, Oliva and Torralba, "Learning deep features for discriminative
localization", CVPR 2016. Where a network ends in a mean over places (global average pooling) and
a linear layer, a label's logit is a bias plus the mean over places of
`sum_k weight[label, k] * feature[k, place]`: that sum is what a place says for the label.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray

from app.audio.clips import clip_starts, pad_or_repeat
from app.audio.log_mel import log_mel
from app.audio.windows import WindowName
from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.errors import DamagedCheckpointError
from app.checkpoints.labels import TaskName
from app.inference.classifier import Answer

STRIDE = 32
"""Place `i` of a map is centred on mel band or frame `STRIDE * i`: ResNet halves five times, with
kernels of odd length around the samples that it keeps."""


class ClipError(ValueError):
    """The recording has no such clip; the message says which it has."""


@dataclass(frozen=True)
class Explanation:
    """What one clip of a recording says for one label."""

    label: int
    """index into the card's labels"""
    clip: int
    """index into the clips of the recording"""
    start: int
    """the clip's first sample"""
    samples: NDArray[np.float32]
    """the clip's, shape `[clip_samples]`"""
    probability: float
    """of the label in this clip, calibrated"""
    map: NDArray[np.float32]
    """the label's class activation map; see `Explainer.maps`"""
    bias: float
    """what the map's mean lacks to the logit"""


class Explainer:
    """A network compiled once more, up to its last feature map. Safe to call from many threads."""

    def __init__(self, model: Path) -> None:
        """Compile the ONNX file `model`.

        Raises:
            RuntimeError: OpenVINO cannot read or compile it.
            ValueError: it does not end in a mean over places and a linear layer.
        """
        core = openvino.Core()
        graph = core.read_model(model)
        mean = _last(graph, "ReduceMean")
        linear = _last(graph, "MatMul")
        add = _last(graph, "Add")
        # A graph without inputs: OpenVINO computes the weights from their int8 constants.
        constants = openvino.Model([linear.input_value(1), add.input_value(1)], [], "head")
        weights, bias = core.compile_model(constants, "CPU")([]).to_tuple()
        transposed = linear.get_attributes()["transpose_b"]
        self._weights: NDArray[np.float32] = (weights if transposed else weights.T).copy()
        self.bias: NDArray[np.float32] = bias.ravel().copy()
        """the part of each output that no place explains, shape `[outputs]`; see `Card.outputs`"""
        body = openvino.Model([mean.input_value(0)], graph.get_parameters(), "body")
        self._body = core.compile_model(body, "CPU")
        self._running = threading.Lock()
        features = self._body.output(0).partial_shape
        if self._weights.shape != (self.bias.size, features[1].get_length()):
            raise ValueError("its linear layer does not read the mean of its last feature map")

    def maps(self, spectrogram: NDArray[np.float32]) -> NDArray[np.float32]:
        """The class activation map of each output: of the labels first, then of familiarity.

        Args:
            spectrogram: of one clip, as the network reads it, shape `[mels, frames]`.

        Returns:
            shape `[outputs, ceil(mels / STRIDE), ceil(frames / STRIDE)]`. The mean of an output's
            map and its `bias` are that output, but for what int8 rounds off.
        """
        with self._running:
            features = self._body([spectrogram[None, None]])[0][0]
            maps: NDArray[np.float32] = np.tensordot(self._weights, features, axes=1)
        return maps


class Explainers:
    """An `Explainer` for each checkpoint that was asked about, compiled on the first question."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._compiled: dict[tuple[TaskName, WindowName], tuple[Card, Explainer]] = {}
        self._compiling = threading.Lock()

    def get(self, card: Card) -> Explainer:
        """The explainer of the checkpoint with this card.

        Raises:
            MissingCheckpointError, DamagedCheckpointError: the store no longer holds it as it
                was, or its network is of a kind that has no class activation maps.
        """
        key = (card.task, card.input.window)
        with self._compiling:
            compiled, explainer = self._compiled.get(key, (None, None))
            if explainer is None or compiled is None or not _same(compiled, card):
                explainer = self._compile(card)
                self._compiled[key] = (card, explainer)
            return explainer

    def forget(self, task: TaskName, window: WindowName) -> None:
        """Let go of the explainer of a checkpoint that serves no longer."""
        with self._compiling:
            self._compiled.pop((task, window), None)

    def _compile(self, card: Card) -> Explainer:
        task, window = card.task, card.input.window
        checkpoint = store.load(self._root, task, window)
        if not _same(checkpoint.card, card):
            raise DamagedCheckpointError(
                f"{task}/{window}: the store now holds version {checkpoint.card.version}, "
                f"this server answers with {card.version} until it is told to reload"
            )
        try:
            return Explainer(checkpoint.model)
        except (RuntimeError, ValueError) as error:
            raise DamagedCheckpointError(
                f"{task}/{window}: {store.MODEL} has no class activation maps: "
                f"{str(error).splitlines()[0]}"
            ) from error


def explain_answer(
    card: Card,
    answer: Answer,
    explainer: Explainer,
    samples: NDArray[np.float32],
    *,
    label: int | None,
    clip: int | None,
) -> Explanation:
    """Find what one clip says for a label.

    Args:
        card: of the checkpoint that answered.
        answer: to the recording.
        explainer: of the same checkpoint.
        samples: a mono recording at the card's sample rate, not empty.
        label: index of the label to explain; `None` for the most probable.
        clip: index of the clip to look at; `None` for the one most sure of the label.

    Raises:
        ClipError: the recording has fewer clips.
    """
    config = card.input
    chosen = int(answer.probabilities.argmax()) if label is None else label
    sureness = answer.clip_probabilities[:, chosen]
    if clip is None:
        clip = int(sureness.argmax())
    elif clip >= len(sureness):
        raise ClipError(f"the recording has the clips 1 to {len(sureness)}, got {clip + 1}")
    filled = pad_or_repeat(samples, config.clip_samples, config.padding)
    start = clip_starts(filled.size, config.clip_samples, config.clip_hop_samples)[clip]
    of_clip = filled[start : start + config.clip_samples]
    return Explanation(
        label=chosen,
        clip=clip,
        start=start,
        samples=of_clip,
        probability=float(sureness[clip]),
        map=explainer.maps(log_mel(of_clip, config))[chosen],
        bias=float(explainer.bias[chosen]),
    )


def _same(one: Card, other: Card) -> bool:
    """Whether two cards are of the same network; what was measured of it may have been added."""
    return (one.version, one.files) == (other.version, other.files)


def _last(graph: openvino.Model, kind: str) -> openvino.Node:
    nodes = [node for node in graph.get_ordered_ops() if node.get_type_name() == kind]
    if not nodes:
        raise ValueError(f"it has no {kind}")
    return nodes[-1]
