"""The networks that can be trained, by the name that a card gives them."""

from collections.abc import Callable

from training.networks.classifier import AudioClassifier
from training.networks.edge import EDGE_NETWORKS
from training.networks.resnet import ResNetAudioClassifier

__all__ = [
    "AUDIO_ENCODER",
    "DEFAULT_NETWORK",
    "EDGE_NETWORK",
    "EDGE_NETWORKS",
    "NETWORKS",
    "SPEECH_ENCODER",
    "AudioClassifier",
    "build_network",
]

DEFAULT_NETWORK = "resnet50"
EDGE_NETWORK = "vgg"
"""of `EDGE_NETWORKS`, the one that `earshot export --edge` trains"""
AUDIO_ENCODER = "audio-encoder"
"""whose head `earshot fit-audio-encoder` fits; see `audio_encoder`"""
SPEECH_ENCODER = "speech-encoder"
"""which `earshot fine-tune` makes of a pretrained encoder; see `speech_encoder`"""

NETWORKS: dict[str, Callable[..., AudioClassifier]] = {
    DEFAULT_NETWORK: ResNetAudioClassifier,
    **EDGE_NETWORKS,
}
"""name -> builder, called with the number of outputs and, optionally, `dropout`"""


def build_network(name: str, outputs: int, *, dropout: float = 0.0) -> AudioClassifier:
    """Build a network at random weights; raise ValueError when there is none of this name."""
    if name not in NETWORKS:
        raise ValueError(f"unknown network {name!r}; there are {', '.join(NETWORKS)}")
    return NETWORKS[name](outputs, dropout=dropout)
