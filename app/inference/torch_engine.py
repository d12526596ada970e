"""PyTorch on a GPU, in bfloat16. The only module of the service that imports torch."""

from collections import OrderedDict

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn
from torchvision.models import resnet50

from app.checkpoints.store import (
    WEIGHTS,
    Checkpoint,
    DamagedCheckpointError,
    MissingCheckpointError,
)


def has_gpu() -> bool:
    """Return whether torch can compute on a GPU here."""
    return torch.cuda.is_available()


class TorchEngine:
    """Runs a ResNet50 on the first GPU, or on the CPU where there is none; see `Engine`."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Load the checkpoint's weights.

        Raises:
            MissingCheckpointError: it comes without weights.
            DamagedCheckpointError: they are not those of this network.
        """
        card = checkpoint.card
        if checkpoint.weights is None:
            raise MissingCheckpointError(
                f"{checkpoint.key} has no {WEIGHTS}, which the torch engine "
                "needs: export it by `earshot export RUN --weights`, or set EARSHOT_ENGINE=openvino"
            )
        self._device = torch.device("cuda" if has_gpu() else "cpu")
        network = _network(card.output_size)
        try:
            network.load_state_dict(load_file(checkpoint.weights))
        except (RuntimeError, ValueError) as error:
            raise DamagedCheckpointError(
                f"{checkpoint.key}: {WEIGHTS} are not the weights of a "
                f"ResNet50 with {card.output_size} outputs: {str(error).splitlines()[0]}"
            ) from error
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own stubs lack it
        self._network = network.eval().to(self._device, torch.bfloat16)

    @torch.inference_mode()
    def infer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine.infer`."""
        tensor = torch.from_numpy(inputs).to(
            self._device, torch.bfloat16, memory_format=torch.channels_last
        )
        outputs: NDArray[np.float32] = self._network(tensor).float().cpu().numpy()
        return outputs


def _network(outputs: int) -> nn.Module:
    """Return the network of `training.networks.resnet`, with the same parameter names."""
    backbone = resnet50(weights=None)
    features = backbone.fc.in_features
    backbone.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    backbone.fc = nn.Identity()
    head = nn.Sequential(nn.Identity(), nn.Linear(features, outputs))
    return nn.Sequential(OrderedDict(backbone=backbone, head=head))
