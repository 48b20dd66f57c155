"""One conformance suite that every classifier passes."""

from __future__ import annotations

import json
import warnings
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import Tensor

from islands.classifiers.contract import Classifier, require_differentiable
from islands.classifiers.engines import EngineName
from islands.classifiers.lenet import build_lenet
from islands.classifiers.network_classifier import Precision, Preprocessing, View
from islands.classifiers.registry import load_classifier
from islands.classifiers.torch_classifier import TorchClassifier
from islands.errors import NetworkError
from islands.testing import ClassifierTests
from tests.classifiers.test_caffe import caffemodel, caffenet, lenet_layers

CPU = torch.device("cpu")
SCREENED = "screened "
CASES: list[tuple[str, View, int]] = [
    ("lenet-mnist", "whole", 28),
    ("lenet-mnist", "ten-crop", 32),
    ("efficientnet-lite0", "whole", 224),
    ("efficientnet-lite0", "center", 256),
    ("efficientnet-lite0", "ten-crop", 256),
    ("efficientnet-lite1", "standard", 280),
    ("efficientnet-lite2", "whole", 260),
    ("linear-mnist", "whole", 28),
    ("svm-mnist", "whole", 28),
    ("generative-mnist", "whole", 28),
    ("torchvision:mobilenet_v2@random:0", "standard", 256),
    ("torchvision:alexnet@random:0", "whole", 224),
    ("torchvision:googlenet@random:0", "whole", 224),
    ("timm:resnet18@random:0", "whole", 224),
    ("ensemble:lenet-mnist+svm-mnist", "whole", 28),
    ("ensemble:lenet-mnist+linear-mnist", "ten-crop", 32),
    ("weakest:lenet-mnist+svm-mnist+linear-mnist", "whole", 28),
    ("label-only:lenet-mnist", "whole", 28),
    ("screened lenet-mnist", "whole", 28),
    ("screened ensemble:lenet-mnist+linear-mnist", "ten-crop", 32),
    ("{caffenet}", "center", 256),
    ("stability:lenet-mnist", "whole", 28),
    ("caffe:lenet:{files}/net.caffemodel", "whole", 28),
    ("torchscript:{files}/net.pt", "whole", 28),
    ("exported:{files}/net.pt2", "whole", 28),
    ("openvino:{files}/net.onnx", "whole", 28),
    ("file:{files}/own.py:build", "whole", 40),
]
FAST_SIZE = 100
QUICK = ("efficientnet-lite0", "whole", 224)
"""The one large network that the fast suite runs."""

TIERED = [
    pytest.param(*case, marks=pytest.mark.slow) if case[2] > FAST_SIZE and case != QUICK else case
    for case in CASES
]

OWN = """
import torch
from islands.classifiers.lenet import build_lenet

def build():
    torch.manual_seed(0)
    network = build_lenet()
    network.classes, network.channels, network.input_size = "abcdefghij", 1, 28
    return network
"""


@cache
def files() -> TemporaryDirectory[str]:
    """Write a small network in each format that users bring; the folder lasts as long as this process."""
    folder = TemporaryDirectory()
    path, network, example = Path(folder.name), build_lenet().eval(), torch.zeros(2, 1, 28, 28)
    (path / "net.caffemodel").write_bytes(caffemodel(lenet_layers()[0], 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(network, example), path / "net.pt")
        warnings.simplefilter("ignore")
        sizes = {name: {0: "n"} for name in ("pixels", "logits")}
        torch.onnx.export(
            network,
            (example,),
            path / "net.onnx",
            dynamo=False,
            input_names=["pixels"],
            output_names=["logits"],
            dynamic_axes=sizes,
        )
    batch = {0: torch.export.Dim.DYNAMIC}
    torch.export.save(torch.export.export(network, (example,), dynamic_shapes=(batch,)), path / "net.pt2")
    for name in ("net.pt", "net.pt2", "net.onnx"):
        description = {"classes": list("abcdefghij"), "input_size": 28, "channels": 1}
        (path / f"{name}.json").write_text(json.dumps(description))
    (path / "own.py").write_text(OWN)
    return folder


@lru_cache(maxsize=4)  # tests of one network follow one another, in whatever order: see `scope` below
def load(name: str, view: View, engine: EngineName = "auto") -> Classifier:
    return load_anew(name, view, engine)


def load_anew(name: str, view: View, engine: EngineName = "auto") -> Classifier:
    if name.startswith("openvino:"):  # which nothing else runs
        engine = "auto"
    if "{files}" in name:
        name = name.format(files=files().name)
    if name == "{caffenet}":
        name, _ = caffenet()
    screen: Precision | None = "bfloat16" if name.startswith(SCREENED) else None
    return load_classifier(name.removeprefix(SCREENED), view=view, engine=engine, screen=screen, device=CPU)


def load_module(name: str, view: View = "whole") -> TorchClassifier:
    classifier = load_classifier(name, view=view, engine="torch", device=CPU)
    assert isinstance(classifier, TorchClassifier)
    return classifier


def noise(classifier: Classifier, n: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    shape = (n, classifier.channels, size, size)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("engine", ["torch", "auto"], scope="module")
@pytest.mark.parametrize(("name", "view", "size"), TIERED, scope="module")
class TestEveryClassifier:
    """The contract of `Classifier`."""

    def test_probabilities_are_the_softmax_of_the_logits_and_sum_to_one(
        self, name: str, view: View, size: int, engine: EngineName
    ) -> None:
        classifier = load(name, view, engine)
        probabilities, logits = classifier.predict(noise(classifier, 3, size))
        assert probabilities.shape == logits.shape == (3, len(classifier.classes))
        assert probabilities.dtype == logits.dtype == torch.float32
        torch.testing.assert_close(probabilities.sum(1), torch.ones(3))
        torch.testing.assert_close(logits.softmax(1), probabilities)

    def test_equal_images_give_equal_bits(self, name: str, view: View, size: int, engine: EngineName) -> None:
        classifier = load(name, view, engine)
        images = noise(classifier, 3, size)
        again = classifier.predict(images.clone())
        assert torch.equal(classifier.predict(images).probabilities, again.probabilities)

    def test_images_do_not_see_each_other(self, name: str, view: View, size: int, engine: EngineName) -> None:
        classifier = load(name, view, engine)
        images = noise(classifier, 3, size)
        alone = torch.cat([classifier.predict(image[None]).probabilities for image in images])
        torch.testing.assert_close(classifier.predict(images).probabilities, alone, rtol=1e-4, atol=1e-6)

    def test_the_images_are_left_as_they_were(
        self, name: str, view: View, size: int, engine: EngineName
    ) -> None:
        classifier = load(name, view, engine)
        images = noise(classifier, 2, size)
        classifier.predict(images)
        assert torch.equal(images, noise(classifier, 2, size))

    def test_nothing_is_trainable_or_in_training_mode(
        self, name: str, view: View, size: int, engine: EngineName
    ) -> None:
        classifier = load(name, view, engine)
        prediction = classifier.predict(noise(classifier, 1, size))
        assert not prediction.logits.requires_grad
        if isinstance(classifier, TorchClassifier):
            assert not any(module.training for module in classifier._module.modules())
            assert not any(p.requires_grad for p in classifier._module.parameters())

    def test_the_fingerprint_is_stable_and_names_the_view(
        self, name: str, view: View, size: int, engine: EngineName
    ) -> None:
        assert load(name, view, engine).fingerprint == load_anew(name, view, engine).fingerprint
        other: View = "center" if view != "center" else "whole"
        assert load(name, view, engine).fingerprint != load(name, other, engine).fingerprint

    def test_gradients_climb_what_is_predicted_or_are_refused(
        self, name: str, view: View, size: int, engine: EngineName
    ) -> None:
        classifier = load(name, view, engine)
        if name.startswith(("label-only", "stability", "openvino")):
            with pytest.raises(NetworkError, match="without gradients"):
                require_differentiable(classifier)
            return
        network, images = require_differentiable(classifier), noise(classifier, 2, size)
        pixels = (images.float() / 255).requires_grad_()
        scores = network.logits(pixels)
        expected = classifier.predict(images).probabilities
        torch.testing.assert_close(scores.softmax(1), expected, rtol=1e-3, atol=1e-6)
        likelihood = scores.log_softmax(1)[:, 0]
        (gradient,) = torch.autograd.grad(likelihood.sum(), pixels)
        assert gradient.isfinite().all()
        if "random" not in name:  # an untrained network is nearly flat
            step = 0.01 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            assert (network.logits(pixels + step).log_softmax(1)[:, 0] > likelihood).all()
        assert len(network.mean) in (1, network.channels)

    @pytest.mark.parametrize("mistake", ["float", "channels", "flat", "empty"])
    def test_images_that_do_not_fit_are_refused_in_one_line(
        self, name: str, view: View, size: int, engine: EngineName, mistake: str
    ) -> None:
        classifier = load(name, view, engine)
        good = noise(classifier, 2, size)
        bad = {
            "float": good.float(),
            "channels": good.repeat(1, 2, 1, 1),
            "flat": good.flatten(1),
            "empty": good[:0],
        }[mistake]
        with pytest.raises(NetworkError, match="; expected") as refusal:
            classifier.predict(bad)
        assert "\n" not in str(refusal.value)


def test_a_crop_larger_than_the_image_is_refused() -> None:
    classifier = load("lenet-mnist", "ten-crop")
    with pytest.raises(NetworkError, match=r"raise encoding\.size"):
        classifier.predict(noise(classifier, 1, 27))


def test_ten_crops_are_the_mean_over_corners_centre_and_mirrors() -> None:
    """Paper section 2.1: four corners and the centre, each mirrored, probabilities averaged."""
    images = noise(load("lenet-mnist", "ten-crop"), 2, 32)
    whole = load("lenet-mnist", "whole")
    crops = [images[:, :, y : y + 28, x : x + 28] for y, x in ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))]
    expected = torch.stack(
        [whole.predict(crop).probabilities for view in crops for crop in (view, view.flip(3))]
    ).mean(0)
    torch.testing.assert_close(load("lenet-mnist", "ten-crop").predict(images).probabilities, expected)


def test_the_weakest_member_decides() -> None:
    """The least probability of each class, with what is left over spread evenly."""
    names = ("lenet-mnist", "svm-mnist", "linear-mnist")
    images = noise(load(names[0], "whole"), 50, 28)
    least = torch.stack([load(name, "whole").predict(images).probabilities for name in names]).amin(0)
    expected = least + (1 - least.sum(1, keepdim=True)) / 10
    found = load("weakest:" + "+".join(names), "whole").predict(images).probabilities
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert (found < least + 0.1 + 1e-6).all()


def test_a_network_with_another_number_of_outputs_is_reported() -> None:
    two = TorchClassifier("two", build_lenet(), ("a", "b"), Preprocessing(1, 28), batch_size=8, device=CPU)
    with pytest.raises(NetworkError, match=r"gave outputs of shape \(3, 10\); expected \(3, 2\)"):
        two.predict(noise(two, 3, 28))


def test_a_network_that_gives_nan_is_reported() -> None:
    broken = load_module("lenet-mnist")
    with torch.no_grad():
        next(broken._module.parameters()).fill_(torch.nan)
    with pytest.raises(NetworkError, match="not finite"):
        broken.predict(noise(broken, 2, 28))


@pytest.mark.parametrize("name", dict.fromkeys(name for name, _, size in CASES if size <= FAST_SIZE))
class TestOurs(ClassifierTests):
    """The suite that networks of others pass as well."""

    @pytest.fixture
    def classifier(self, name: str) -> Classifier:
        return load(name, "whole")
