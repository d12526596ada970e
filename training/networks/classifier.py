"""The form that all networks share: a backbone for features, and a linear head on top."""

from abc import abstractmethod

import torch
from torch import Tensor, nn


class HeadedNetwork(nn.Module):
    """A network whose `head` is dropout and a linear layer."""

    head: nn.Sequential

    @abstractmethod
    def embed(self, inputs: Tensor) -> Tensor:
        """Return the features that the head reads, `[batch, features]`."""

    @property
    def linear(self) -> nn.Linear:
        """Return the last layer."""
        layer = self.head[1]
        assert isinstance(layer, nn.Linear)
        return layer

    def add_output(self, weight: Tensor, bias: float) -> None:
        """Add an output behind the others, which stay as they are.

        Args:
            weight: of the features, shape `[features]`.
            bias: its offset.
        """
        old = self.linear
        new = nn.Linear(old.in_features, old.out_features + 1)
        with torch.no_grad():
            new.weight.copy_(torch.vstack([old.weight, weight]))
            new.bias.copy_(torch.cat([old.bias, torch.tensor([bias])]))
        self.head[1] = new


class AudioClassifier(HeadedNetwork):
    """A network that maps spectrograms `[batch, 1, mels, frames]` to logits `[batch, outputs]`."""

    def __init__(
        self, backbone: nn.Module, features: int, outputs: int, *, dropout: float = 0.0
    ) -> None:
        """Put a new head on a backbone.

        Args:
            backbone: gives features `[batch, features]`.
            features: how many it gives.
            outputs: logits of the head.
            dropout: before the head, while training.
        """
        super().__init__()
        self.backbone = backbone
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, outputs))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Return the logits `[batch, outputs]`."""
        logits: Tensor = self.head(self.embed(spectrogram))
        return logits

    def embed(self, inputs: Tensor) -> Tensor:
        """Return the backbone's features, `[batch, features]`."""
        features: Tensor = self.backbone(inputs)
        return features

    def load_backbone(self, state: dict[str, Tensor]) -> None:
        """Take over the backbone of another network's state dict; the head stays as it is.

        Raises RuntimeError when `state` is not of this network.
        """
        prefix = "backbone."
        self.backbone.load_state_dict(
            {name.removeprefix(prefix): w for name, w in state.items() if name.startswith(prefix)}
        )
