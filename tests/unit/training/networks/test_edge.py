"""Networks for boards: small, and of any length of recording."""

import pytest
import torch

from training.networks import EDGE_NETWORKS
from training.networks.edge import MAX_PARAMETERS


@pytest.mark.parametrize("name", EDGE_NETWORKS)
def test_a_network_is_small_and_its_outputs_depend_on_all_of_the_clip(name: str) -> None:
    torch.manual_seed(0)
    network = EDGE_NETWORKS[name](11).eval()
    assert sum(weight.numel() for weight in network.parameters()) <= MAX_PARAMETERS
    inputs = torch.randn(1, 1, 64, 201, requires_grad=True)
    outputs = network(inputs)
    assert outputs.shape == (1, 11)
    outputs.square().sum().backward()
    assert inputs.grad is not None
    # Every quarter of the time and of the bands is heard.
    for axis in (2, 3):
        for part in inputs.grad[0, 0].abs().chunk(4, dim=axis - 2):
            assert part.sum() > 0
