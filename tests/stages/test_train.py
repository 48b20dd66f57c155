"""Training is deterministic under its seed, and learns."""

from __future__ import annotations

import torch

from islands.datasets.mnist import Labelled, load_mnist
from islands.stages.train import accuracy, train_lenet


def test_training_repeats_bit_for_bit_and_learns() -> None:
    digits = load_mnist("train")
    few = Labelled(digits.images[:2000], digits.labels[:2000])
    first, second = train_lenet(1, 4, few), train_lenet(1, 4, few)
    other = train_lenet(2, 1, few)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])
    assert not torch.equal(first.state_dict()["0.weight"], other.state_dict()["0.weight"])
    assert accuracy(first, load_mnist("test")) > 0.8
