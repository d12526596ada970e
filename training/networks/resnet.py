"""The network: torchvision's ResNet50 with a stem of one channel."""

import torch
from torch import Tensor, nn
from torchvision.models import resnet50


class ResNetAudioClassifier(nn.Module):
    """ResNet50 (He et al., CVPR 2016) that reads spectrograms.

    Input `[batch, 1, mels, frames]`, any number of mels and frames from 32 up;
    output logits `[batch, outputs]`.
    """

    def __init__(self, outputs: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        # The last normalisation of each block starts at zero, so that a deep network
        # trained from scratch starts as a shallow one (Goyal et al., 2017).
        self.body = resnet50(weights=None, zero_init_residual=True)
        self.body.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        features = self.body.fc.in_features
        self.body.fc = nn.Identity()
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, outputs))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Logits `[batch, outputs]`."""
        logits: Tensor = self.head(self.body(spectrogram))
        return logits

    @property
    def linear(self) -> nn.Linear:
        """The last layer."""
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

    def load_body(self, state: dict[str, Tensor]) -> None:
        """Take the weights of another network's body; the head stays as it is.

        Raises RuntimeError when `state` is not a state dict of this class.
        """
        prefix = "body."
        self.body.load_state_dict(
            {name.removeprefix(prefix): w for name, w in state.items() if name.startswith(prefix)}
        )
