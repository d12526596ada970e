"""Networks of at most 75,000 weights, for processors without a server behind them.

Four families that keyword spotting and emotion recognition on devices use, at about one size, so
that they can be compared. All end in the mean and the maximum over places, and a linear head.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from training.networks.classifier import AudioClassifier

MAX_PARAMETERS = 75_000


class MeanMaxPooling(nn.Module):
    """Mean and maximum over places: `[batch, channels, mels, frames]` to `[batch, features]`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the features, means first."""
        return torch.cat([inputs.mean(dim=(2, 3)), inputs.amax(dim=(2, 3))], dim=1)


def build_vgg(outputs: int, *, dropout: float = 0.0) -> AudioClassifier:
    """Build plain 3x3 convolutions, as Wav2Small has them (Kounadis-Bastian et al., 2024)."""
    layers = [
        *_convolution(1, 16, stride=2),
        *_convolution(16, 24),
        nn.MaxPool2d(2),
        *_convolution(24, 32),
        nn.MaxPool2d(2),
        *_convolution(32, 48),
        *_convolution(48, 48),
        nn.MaxPool2d(2),
        *_convolution(48, 56),
    ]
    return _classifier(layers, 56, outputs, dropout)


def build_ds_cnn(outputs: int, *, dropout: float = 0.0) -> AudioClassifier:
    """Build depthwise-separable convolutions: DS-CNN (Zhang et al., "Hello Edge", 2017)."""
    layers = [
        *_convolution(1, 24, stride=2),
        *_separable(24, 40, stride=2),
        *_separable(40, 56),
        *_separable(56, 80, stride=2),
        *_separable(80, 96),
        *_separable(96, 112, stride=2),
        *_separable(112, 128),
    ]
    return _classifier(layers, 128, outputs, dropout)


def build_mobilenet(outputs: int, *, dropout: float = 0.0) -> AudioClassifier:
    """Build inverted residuals: MobileNetV2 (Sandler et al., CVPR 2018)."""
    layers = [
        *_convolution(1, 16, stride=2),
        InvertedResidual(16, 24, stride=2),
        InvertedResidual(24, 24),
        InvertedResidual(24, 32, stride=2),
        InvertedResidual(32, 32),
        InvertedResidual(32, 48, stride=2),
        InvertedResidual(48, 48),
        *_convolution(48, 96, kernel=1),
    ]
    return _classifier(layers, 96, outputs, dropout)


def build_bc_resnet(outputs: int, *, dropout: float = 0.0) -> AudioClassifier:
    """Build broadcasted residuals: BC-ResNet (Kim et al., Interspeech 2021), with ReLU."""
    layers = [
        *_convolution(1, 32, stride=2, kernel=5),
        BroadcastedBlock(32, 24),
        BroadcastedBlock(24, 24),
        BroadcastedBlock(24, 36, stride=2, dilation=2),
        BroadcastedBlock(36, 36, dilation=2),
        BroadcastedBlock(36, 48, stride=2, dilation=4),
        BroadcastedBlock(48, 48, dilation=4),
        BroadcastedBlock(48, 48, dilation=4),
        BroadcastedBlock(48, 60, dilation=8),
        BroadcastedBlock(60, 60, dilation=8),
        *_convolution(60, 96, kernel=1),
    ]
    return _classifier(layers, 96, outputs, dropout)


class InvertedResidual(nn.Module):
    """Three times as many channels, a depthwise convolution, and back, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        wide = 3 * inputs
        self.layers = nn.Sequential(
            *_convolution(inputs, wide, kernel=1),
            *_convolution(wide, wide, stride=stride, groups=wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `[batch, inputs, mels, frames]` to `[batch, outputs, mels', frames']`."""
        changed: Tensor = self.layers(inputs)
        return inputs + changed if self.has_shortcut else changed


class BroadcastedBlock(nn.Module):
    """Convolutions over mels, and over frames on the mean of all mels, which all of them get."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.widen = nn.Sequential(
            *(_convolution(inputs, outputs, kernel=1) if inputs != outputs else ())
        )
        self.over_mels = nn.Sequential(
            nn.Conv2d(*(outputs, outputs, (3, 1), (stride, 1), (1, 0)), groups=outputs, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.over_frames = nn.Sequential(
            nn.Conv2d(
                *(outputs, outputs, (1, 3), 1, (0, dilation), (1, dilation)),
                groups=outputs,
                bias=False,
            ),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 1),
        )
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `[batch, inputs, mels, frames]` to `[batch, outputs, mels', frames]`."""
        of_mels: Tensor = self.over_mels(self.widen(inputs))
        changed: Tensor = of_mels + self.over_frames(of_mels.mean(dim=2, keepdim=True))
        return torch.relu(inputs + changed if self.has_shortcut else changed)


EDGE_NETWORKS: dict[str, Callable[..., AudioClassifier]] = {
    "vgg": build_vgg,
    "ds-cnn": build_ds_cnn,
    "mobilenet": build_mobilenet,
    "bc-resnet": build_bc_resnet,
}
"""name -> builder, called with the number of outputs and, optionally, `dropout`"""


def _classifier(
    layers: list[nn.Module], channels: int, outputs: int, dropout: float
) -> AudioClassifier:
    backbone = nn.Sequential(*layers, MeanMaxPooling())
    return AudioClassifier(backbone, 2 * channels, outputs, dropout=dropout)


def _convolution(
    inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


def _separable(inputs: int, outputs: int, *, stride: int = 1) -> list[nn.Module]:
    return [
        *_convolution(inputs, inputs, stride=stride, groups=inputs),
        *_convolution(inputs, outputs, kernel=1),
    ]
