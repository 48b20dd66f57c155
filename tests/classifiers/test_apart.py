"""The scores of held-out networks are those of an image and a network, whatever else is asked about."""

from __future__ import annotations

import pytest
import torch

from islands.classifiers.apart import one_thread, predict_each
from islands.classifiers.engines import EngineName
from islands.classifiers.registry import load_classifier

NETWORKS = ["lenet-mnist", "svm-mnist", "ensemble:lenet-mnist+svm-mnist", "efficientnet-lite0"]
ENGINES: list[EngineName] = ["torch", "auto"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NETWORKS)
def test_neither_neighbours_nor_places_nor_numbers_change_a_bit(name: str, engine: EngineName) -> None:
    """On torch, `predict` gives 8 images other bits than 3 and 5 of them, and `svm-mnist` goes by places."""
    network = load_classifier(name, device=torch.device("cpu"), engine=engine)
    generator = torch.Generator().manual_seed(0)
    shape = (8, network.channels, network.input_size, network.input_size)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    with one_thread():
        together = predict_each(network, images)
        apart = [predict_each(network, part) for part in images.split([3, 5])]
        turned = predict_each(network, images.flip(0))
    for place in (0, 1):
        assert torch.equal(torch.cat([part[place] for part in apart]), together[place])
        assert torch.equal(turned[place].flip(0), together[place])


def test_the_number_of_threads_is_as_before() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
