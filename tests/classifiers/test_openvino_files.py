"""Networks in files of other frameworks."""

from __future__ import annotations

import importlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

import islands
from islands.classifiers.apart import engines_of
from islands.classifiers.checks import require_sound
from islands.classifiers.contract import Classifier, require_differentiable
from islands.classifiers.lenet import load_lenet
from islands.classifiers.openvino_import import import_openvino
from islands.classifiers.pixel_models import load_pixel_model
from islands.classifiers.registry import load_classifier
from islands.errors import NetworkError
from tests.optional import needs_openvino

pytestmark = needs_openvino
pytest.importorskip("onnxruntime")

CPU = torch.device("cpu")
IMAGES = torch.randint(256, (5, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


class ChannelsLast(nn.Module):
    """Takes images as TensorFlow has them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Any:
        return self.network(pixels.permute(0, 3, 1, 2))


class OfBytes(nn.Module):
    """Takes bytes, as quantised networks do."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Any:
        return self.network(pixels.float() / 255)


def export(module: nn.Module, example: Tensor, path: Path, **described: Any) -> str:
    """Write an ONNX file and its description; return the network's name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (example,),
            path,
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )
    return describe(path, **described)


def describe(path: Path, **described: Any) -> str:
    description = {"classes": list("0123456789"), "input_size": 28, "channels": 1, **described}
    path.with_name(f"{path.name}.json").write_text(json.dumps(description))
    return f"openvino:{path}"


def lenet(path: Path, **described: Any) -> str:
    return export(load_lenet().module, torch.zeros(2, 1, 28, 28), path, **described)


def logits(classifier: Classifier | str) -> Tensor:
    if isinstance(classifier, str):
        classifier = load_classifier(classifier, device=CPU)
    require_sound(classifier, IMAGES)
    return classifier.predict(IMAGES).logits


def of_lenet() -> Tensor:
    return load_classifier("lenet-mnist", engine="torch", device=CPU).predict(IMAGES).logits


def test_an_onnx_file_scores_as_its_network_and_is_compared(tmp_path: Path) -> None:
    classifier = load_classifier(lenet(tmp_path / "net.onnx"), device=CPU)
    torch.testing.assert_close(logits(classifier), of_lenet(), rtol=1e-4, atol=1e-4)
    (engine,) = engines_of(classifier)
    assert engine.name.startswith("OpenVINO")
    assert "of onnxruntime's" in engine.why
    assert classifier.fingerprint == load_classifier(classifier.name, device=CPU).fingerprint


def test_channels_last_are_told_by_the_shape_or_by_the_description(tmp_path: Path) -> None:
    module, example = ChannelsLast(load_lenet().module), torch.zeros(2, 28, 28, 1)
    by_shape = export(module, example, tmp_path / "shape.onnx")
    torch.testing.assert_close(logits(by_shape), of_lenet(), rtol=1e-4, atol=1e-4)
    by_name = export(module, example, tmp_path / "name.onnx", layout="NHWC")
    torch.testing.assert_close(logits(by_name), of_lenet(), rtol=1e-4, atol=1e-4)


def test_mean_and_std_are_applied(tmp_path: Path) -> None:
    name = lenet(tmp_path / "net.onnx", mean=0.5, std=0.25)
    expected = load_lenet().module((IMAGES / 255 - 0.5) / 0.25)
    torch.testing.assert_close(logits(name), expected, rtol=1e-4, atol=1e-3)


def test_a_network_of_bytes_gets_bytes(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    name = export(OfBytes(load_lenet().module), torch.zeros((2, 1, 28, 28), dtype=torch.uint8), path)
    torch.testing.assert_close(logits(name), of_lenet(), rtol=1e-4, atol=1e-4)
    describe(path, mean=0.5)
    with pytest.raises(NetworkError, match="it takes bytes, which mean and std would change"):
        load_classifier(name, device=CPU)


def test_a_quantised_file_is_run(tmp_path: Path) -> None:
    quantization = importlib.import_module("onnxruntime.quantization")
    lenet(tmp_path / "float.onnx")
    pictures = iter([{"x": IMAGES.float().div(255).numpy()}])

    class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined, misc]
        def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
            return next(pictures, None)

    quantization.quantize_static(tmp_path / "float.onnx", tmp_path / "net.onnx", Reader())
    name = describe(tmp_path / "net.onnx")
    top = logits(name).argmax(1)
    assert (top == of_lenet().argmax(1)).float().mean() > 0.5


def test_a_file_of_openvino_is_run_with_the_weights_beside_it(tmp_path: Path) -> None:
    lenet(tmp_path / "net.onnx")
    openvino = import_openvino()
    model = openvino.Core().read_model(tmp_path / "net.onnx")
    openvino.save_model(model, tmp_path / "ir.xml", compress_to_fp16=False)
    classifier = load_classifier(describe(tmp_path / "ir.xml"), device=CPU)
    torch.testing.assert_close(logits(classifier), of_lenet(), rtol=1e-4, atol=1e-4)
    weights = bytearray((tmp_path / "ir.bin").read_bytes())
    weights[100] ^= 64
    (tmp_path / "ir.bin").write_bytes(weights)
    assert load_classifier(classifier.name, device=CPU).fingerprint != classifier.fingerprint


def test_it_is_evolved_against_and_has_no_gradients(tmp_path: Path) -> None:
    name = lenet(tmp_path / "net.onnx")
    run = islands.evolve(name, generations=10, evolve={"initial": 20, "children": 20})
    assert run.reader.conditions[0]["engine"].startswith("OpenVINO")
    with pytest.raises(NetworkError, match="got a classifier without gradients"):
        require_differentiable(load_classifier(name, device=CPU))


def test_what_looks_like_a_softmax_is_refused_until_it_is_said(tmp_path: Path) -> None:
    module = nn.Sequential(load_lenet().module, nn.Softmax(1))
    name = export(module, torch.zeros(2, 1, 28, 28), tmp_path / "net.onnx")
    with pytest.raises(NetworkError, match="look like those of a softmax"):
        load_classifier(name, device=CPU).predict(IMAGES)
    told = load_classifier(name, outputs="softmax", device=CPU)
    torch.testing.assert_close(
        told.predict(IMAGES).probabilities, of_lenet().softmax(1), rtol=1e-3, atol=1e-5
    )


def test_what_openvino_reads_wrongly_is_refused(tmp_path: Path) -> None:
    module = load_pixel_model("generative-mnist").module
    name = export(module, torch.zeros(2, 1, 28, 28), tmp_path / "net.onnx")
    with pytest.raises(NetworkError, match=r"off by .* from those of onnxruntime") as refusal:
        load_classifier(name, device=CPU)
    assert "\n" not in str(refusal.value)


class TestRefusals:
    def refused(self, name: str, match: str, **settings: Any) -> None:
        with pytest.raises(NetworkError, match=match) as refusal:
            load_classifier(name, device=CPU, **settings)
        assert "\n" not in str(refusal.value)

    def test_of_operators_that_openvino_has_not(self, tmp_path: Path) -> None:
        """As scikit-learn's are."""
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 28, 28])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])
        flat = helper.make_node("Flatten", ["x"], ["flat"])
        linear = helper.make_node(
            "LinearRegressor", ["flat"], ["y"], domain="ai.onnx.ml", coefficients=[0.1] * 7840, targets=10
        )
        versions = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
        model = helper.make_model(helper.make_graph([flat, linear], "g", [x], [y]), opset_imports=versions)
        onnx.save(model, tmp_path / "net.onnx")
        self.refused(describe(tmp_path / "net.onnx"), "OpenVINO does not read it .*LinearRegressor")

    def test_of_what_is_no_network(self, tmp_path: Path) -> None:
        (tmp_path / "net.onnx").write_bytes(b"none")
        self.refused(describe(tmp_path / "net.onnx"), "OpenVINO does not read it")

    def test_of_a_missing_file_and_a_missing_description(self, tmp_path: Path) -> None:
        self.refused(describe(tmp_path / "net.onnx"), "there is no such file")
        (tmp_path / "net.onnx.json").unlink()
        self.refused(f"openvino:{tmp_path}/net.onnx", r"net\.onnx\.json: .* is missing")

    def test_of_another_size(self, tmp_path: Path) -> None:
        lenet(tmp_path / "net.onnx")
        name = describe(tmp_path / "net.onnx", input_size=30)
        self.refused(name, r"got an input of shape .*28,28\], which its description has as")

    def test_of_another_layout(self, tmp_path: Path) -> None:
        self.refused(lenet(tmp_path / "net.onnx", layout="CHWN"), "got layout 'CHWN'")

    def test_of_torch_and_of_another_checksum(self, tmp_path: Path) -> None:
        name = lenet(tmp_path / "net.onnx")
        self.refused(name, "got torch for .*, which OpenVINO runs", engine="torch")
        self.refused(name, "expected 00000000", sha256="00000000")
