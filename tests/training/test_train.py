"""Training is deterministic under its seed, resumes to the same bits, and learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from islands.classifiers.registry import load_classifier, resolve_device
from islands.classifiers.torch_classifier import Network
from islands.classifiers.trained import build_network, transplant
from islands.datasets.examples import Examples, InMemory
from islands.datasets.mnist import Labelled, load_mnist
from islands.errors import NetworkError
from islands.folders import cache_directory
from islands.training.digits import train_lenet
from islands.training.train import Recipe, accuracy, fit, head_of, on_bytes, train_once

pytestmark = pytest.mark.slow

DIGITS = tuple("0123456789")


def few(n: int) -> Labelled:
    digits = load_mnist("train")
    return Labelled(digits.images[:n], digits.labels[:n])


def in_colour(n: int) -> InMemory:
    images, labels = few(n)
    return InMemory(Labelled(images.repeat(1, 3, 2, 2)[:, :, 8:40, 8:40].contiguous(), labels))


def assert_equal(first: Network, second: Network) -> None:
    for name, tensor in first.module.state_dict().items():
        assert torch.equal(tensor, second.module.state_dict()[name]), name


class CutOff:
    """Images whose reader is killed after some batches."""

    def __init__(self, data: Examples, batches: int) -> None:
        self._data, self._left = data, batches
        self.digest = data.digest

    def __len__(self) -> int:
        return len(self._data)

    def take(self, rows: Tensor) -> Labelled:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return self._data.take(rows)


def test_training_repeats_bit_for_bit_and_learns() -> None:
    digits = few(2000)
    first, second = train_lenet(1, 4, digits), train_lenet(1, 4, digits)
    other = train_lenet(2, 1, digits)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])
    assert not torch.equal(first.state_dict()["0.weight"], other.state_dict()["0.weight"])
    assert accuracy(on_bytes(first), InMemory(load_mnist("test"))) > 0.8


@pytest.mark.parametrize(
    ("architecture", "augment"), [("lenet", "shift"), ("mlp", "none"), ("torchvision:mobilenet_v2", "flip")]
)
def test_training_that_is_cut_off_goes_on_to_the_same_bits(
    tmp_path: Path, architecture: str, augment: str
) -> None:
    """MobileNetV2 has dropout, whose random numbers must not depend on the cut either."""
    data = in_colour(12) if architecture.startswith("torchvision") else InMemory(few(120))
    recipe = Recipe(seed=3, epochs=3, batch=len(data) // 3, learning_rate=0.01, augment=augment)  # type: ignore[arg-type]
    whole, parts = (build_network(architecture, DIGITS, 32, 3) for _ in range(2))
    fit(whole, data, recipe)
    partial = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        fit(parts, CutOff(data, 5), recipe, partial)
    assert partial.exists()
    # What goes on is another process: its network starts anew.
    again = build_network(architecture, DIGITS, 32, 3)
    fit(again, CutOff(data, 6), recipe, partial)
    assert_equal(whole, again)
    assert not partial.exists()


def test_the_head_alone_is_trained_where_that_is_asked_for() -> None:
    network = build_network("torchvision:mobilenet_v2", DIGITS, 32, 0)
    before = build_network("torchvision:mobilenet_v2", DIGITS, 32, 0).module.state_dict()
    fit(network, in_colour(16), Recipe(epochs=1, batch=8, augment="none", layers="head"))
    after = network.module.state_dict()
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == {"classifier.1.weight", "classifier.1.bias"}
    assert head_of(network.module) is network.module.classifier[1]  # type: ignore[index]


def test_outputs_are_kept_where_classes_are_added_and_drawn_anew_where_they_are_others() -> None:
    source = build_network("lenet", DIGITS, 28, 0)
    more = build_network("lenet", (*DIGITS, "fooling"), 28, 1)
    own = more.module.state_dict()["7.weight"][10].clone()
    transplant(source, more)
    assert torch.equal(more.module.state_dict()["7.weight"][:10], source.module.state_dict()["7.weight"])
    assert torch.equal(more.module.state_dict()["7.weight"][10], own)
    others = build_network("lenet", tuple("abc"), 28, 1)
    drawn = others.module.state_dict()["7.weight"].clone()
    transplant(source, others)
    assert torch.equal(others.module.state_dict()["7.weight"], drawn)
    assert torch.equal(others.module.state_dict()["0.weight"], source.module.state_dict()["0.weight"])


def test_a_network_is_trained_once_kept_by_fingerprint_and_loads_as_it_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits, test = load_mnist("train"), InMemory(few(500))
    monkeypatch.setenv("ISLANDS_CACHE", str(tmp_path / "cache"))
    data, recipe = InMemory(Labelled(digits.images[500:1500], digits.labels[500:1500])), Recipe(epochs=4)
    file = tmp_path / "network.json"
    record = train_once(file, "lenet", DIGITS, data, test, recipe)
    classifier = load_classifier(record.name, device=resolve_device("cpu"))
    assert classifier.fingerprint == record.fingerprint
    assert classifier.classes == DIGITS
    assert accuracy(lambda images: classifier.predict(images).logits, test) == record.test_accuracy > 0.5
    # Taking a single image, for its size, is all that the second call does.
    assert train_once(file, "lenet", DIGITS, CutOff(data, 1), test, recipe) == record
    other = train_once(file, "lenet", DIGITS, data, test, replace(recipe, seed=1))
    assert other.fingerprint != record.fingerprint
    weights = cache_directory() / "trained" / record.fingerprint[:16] / "network.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(NetworkError, match="got sha256"):
        load_classifier(record.name, device=resolve_device("cpu"))
    with pytest.raises(NetworkError, match="found none; run the pipeline"):
        load_classifier("trained:0123456789abcdef", device=resolve_device("cpu"))
