"""PyTorch on a GPU, in bfloat16. The only module of the service that imports torch."""

from collections import OrderedDict

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn
from torchvision.models import resnet50

from app.checkpoints.errors import DamagedCheckpointError, MissingCheckpointError
from app.checkpoints.store import WEIGHTS, Checkpoint


def gpu_is_there() -> bool:
    """Whether torch can compute on a GPU here."""
    return torch.cuda.is_available()


class TorchEngine:
    """See `Engine`. On the first GPU, or on the CPU where there is none."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Load the checkpoint's weights.

        Raises:
            MissingCheckpointError: it comes without weights.
            DamagedCheckpointError: they are not those of this network.
        """
        card = checkpoint.card
        if checkpoint.weights is None:
            raise MissingCheckpointError(
                f"{card.task}/{card.input.window} has no {WEIGHTS}, which the torch engine "
                "needs: export it by `earshot export --weights`, or set EARSHOT_ENGINE=openvino"
            )
        self._device = torch.device("cuda" if gpu_is_there() else "cpu")
        network = _network(card.outputs)
        try:
            network.load_state_dict(load_file(checkpoint.weights))
        except (RuntimeError, ValueError) as error:
            raise DamagedCheckpointError(
                f"{card.task}/{card.input.window}: {WEIGHTS} are not the weights of a "
                f"ResNet50 with {card.outputs} outputs: {str(error).splitlines()[0]}"
            ) from error
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own stubs lack it
        self._network = network.eval().to(self._device, torch.bfloat16)

    @torch.inference_mode()
    def infer(self, spectrograms: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine.infer`."""
        inputs = torch.from_numpy(spectrograms).to(
            self._device, torch.bfloat16, memory_format=torch.channels_last
        )
        outputs: NDArray[np.float32] = self._network(inputs).float().cpu().numpy()
        return outputs


def _network(outputs: int) -> nn.Module:
    """The network that `training.networks.resnet` trains, by the same names."""
    body = resnet50(weights=None)
    features = body.fc.in_features
    body.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    body.fc = nn.Identity()
    head = nn.Sequential(nn.Identity(), nn.Linear(features, outputs))
    return nn.Sequential(OrderedDict(body=body, head=head))
