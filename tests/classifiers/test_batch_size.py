"""How many images pass through a network at a time, where the configuration leaves it open."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from islands.classifiers import torch_classifier
from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.registry import load_classifier
from islands.classifiers.torch_classifier import Network, TorchClassifier, suitable_batch_size
from tests.accelerator import pretend

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(("size", "images"), [(28, 4096), (224, 256), (260, 128), (8192, 1)])
def test_accelerators_get_a_power_of_two_that_depends_on_the_network_alone(size: int, images: int) -> None:
    network = Network(nn.Identity(), ("a",), Preprocessing(3, size), batch_size=7)
    assert suitable_batch_size(network, CUDA) == images
    assert suitable_batch_size(network, CPU) == suitable_batch_size(network, CPU, 400) == 7


@pytest.mark.parametrize(("passes", "images"), [(12, 12), (400, 400), (513, 257), (4000, 500)])
def test_accelerators_get_children_in_as_few_even_batches_as_fit(passes: int, images: int) -> None:
    network = Network(nn.Identity(), ("a",), Preprocessing(3, 224))
    assert suitable_batch_size(network, CUDA, passes) == images


def test_children_of_a_generation_are_known_where_batches_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | None] = []

    def noted(network: Network, device: torch.device, passes: int | None = None) -> int:
        asked.append(passes)
        return 16

    monkeypatch.setattr(torch_classifier, "suitable_batch_size", noted)
    load_classifier("lenet-mnist", device=CPU, at_once=40)
    load_classifier("lenet-mnist", view="ten-crop", device=CPU, at_once=40)
    load_classifier("ensemble:lenet-mnist+svm-mnist", device=CPU, at_once=40)
    load_classifier("lenet-mnist", screen="bfloat16", device=CPU, at_once=40)
    assert asked == [40, 400, 40, 40, None, 40]


def on_torch(view: str, batch_size: int) -> TorchClassifier:
    arguments: dict[str, Any] = {"view": view, "batch_size": batch_size, "engine": "torch"}
    classifier = load_classifier("lenet-mnist", device=CPU, **arguments)
    assert isinstance(classifier, TorchClassifier)
    return classifier


IMAGES = torch.randint(256, (6, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


def test_accelerators_get_ten_crops_in_full_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = on_torch("ten-crop", 25)
    expected = classifier.predict(IMAGES).probabilities
    batches: list[int] = []
    forward = classifier._forward

    def counted(pixels: Tensor) -> Any:
        batches.append(len(pixels))
        return forward(pixels)

    monkeypatch.setattr(classifier, "_forward", counted)
    pretend(monkeypatch)
    torch.testing.assert_close(classifier.predict(IMAGES).probabilities, expected)
    assert batches == [25, 25, 10]


@pytest.mark.parametrize("size", [40, 20, 28])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_accelerators_resize_by_products_of_matrices(
    size: int, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10))
    preprocessing = Preprocessing(1, 28, interpolation=mode)
    arguments: dict[str, Any] = {"batch_size": 8, "device": CPU, "engine": "torch"}
    classifier = TorchClassifier("linear", network, tuple("0123456789"), preprocessing, **arguments)
    images = torch.randint(256, (4, 1, size, size + 2), dtype=torch.uint8)
    expected = classifier.predict(images).logits
    pretend(monkeypatch)
    torch.testing.assert_close(classifier.predict(images).logits, expected, rtol=1e-4, atol=1e-5)
    pixels = (images.float() / 255).requires_grad_()
    classifier.logits(pixels).sum().backward()
    assert pixels.grad is not None
    assert bool(pixels.grad.abs().sum() > 0)
