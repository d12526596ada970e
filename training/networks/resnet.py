"""torchvision's ResNet50 with a stem of one channel."""

from torch import nn
from torchvision.models import resnet50

from training.networks.classifier import AudioClassifier


class ResNetAudioClassifier(AudioClassifier):
    """ResNet50 (He et al., CVPR 2016) that reads spectrograms.

    Any number of mels and frames from 32 up; `app.inference.torch_engine` builds the same.
    """

    def __init__(self, outputs: int, *, dropout: float = 0.0) -> None:
        """Build it at random weights, `dropout` being before its head."""
        # The last normalisation of each block starts at zero, so that a deep network
        # trained from scratch starts as a shallow one (Goyal et al., 2017).
        backbone = resnet50(weights=None, zero_init_residual=True)
        backbone.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        features = backbone.fc.in_features
        backbone.fc = nn.Identity()
        super().__init__(backbone, features, outputs, dropout=dropout)
