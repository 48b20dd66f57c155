"""How many images pass through a network at a time, where the configuration leaves it open."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.torch_classifier import Network, suitable_batch_size


@pytest.mark.parametrize(("size", "images"), [(28, 4096), (224, 256), (260, 128), (8192, 1)])
def test_accelerators_get_a_power_of_two_that_depends_on_the_network_alone(size: int, images: int) -> None:
    network = Network(nn.Identity(), ("a",), Preprocessing(3, size), batch_size=7)
    assert suitable_batch_size(network, torch.device("cuda")) == images
    assert suitable_batch_size(network, torch.device("cpu")) == 7
