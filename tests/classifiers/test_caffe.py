"""Files that Caffe wrote, in both versions of its format."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
import torch
from torch import Tensor

from islands.classifiers.caffe import CaffeNet
from islands.classifiers.caffe_format import read_binaryproto, read_caffemodel
from islands.classifiers.lenet import build_lenet
from islands.classifiers.registry import load_classifier
from islands.classifiers.torch_classifier import TorchClassifier
from islands.datasets.mnist import load_mnist
from islands.errors import NetworkError

CPU = torch.device("cpu")
LAYERS = {"conv1": "0", "conv2": "2", "ip1": "5", "ip2": "7"}


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def message(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def blob(tensor: Tensor, version: int) -> bytes:
    numbers = tensor.flatten().tolist()
    data = message(5, struct.pack(f"<{len(numbers)}f", *numbers))
    if version == 2:
        return message(7, message(1, b"".join(map(varint, tensor.shape)))) + data
    padded = [1] * (4 - tensor.ndim) + list(tensor.shape)
    return b"".join(varint(field << 3) + varint(n) for field, n in enumerate(padded, 1)) + data


def caffemodel(layers: dict[str, list[Tensor]], version: int) -> bytes:
    """Write what `NetParameter` of caffe.proto says: `layers` = 2 in version 1, `layer` = 100 in 2."""
    net_field, name_field, blob_field = {1: (2, 4, 6), 2: (100, 1, 7)}[version]
    written = message(1, b"a network") + message(net_field, message(name_field, b"data"))
    for name, blobs in layers.items():
        body = message(name_field, name.encode()) + varint(5 << 3) + varint(4)
        body += b"".join(message(blob_field, blob(tensor, version)) for tensor in blobs)
        written += message(net_field, body)
    return written


def lenet_layers() -> tuple[dict[str, list[Tensor]], torch.nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = build_lenet()
    state = network.state_dict()
    return {name: [state[f"{ours}.weight"], state[f"{ours}.bias"]] for name, ours in LAYERS.items()}, network


@pytest.mark.parametrize("version", [1, 2])
def test_lenet_is_read_from_both_versions(tmp_path: Path, version: int) -> None:
    layers, network = lenet_layers()
    (tmp_path / "net").write_bytes(caffemodel(layers, version))
    mean = torch.rand(1, 1, 28, 28) * 100
    (tmp_path / "mean").write_bytes(blob(mean, 1))
    images = torch.randint(256, (4, 1, 28, 28), dtype=torch.uint8)
    found = load_classifier(f"caffe:lenet:{tmp_path}/net,{tmp_path}/mean", device=CPU)
    torch.testing.assert_close(found.predict(images).logits, network((images - mean) / 256))
    without = load_classifier(f"caffe:lenet:{tmp_path}/net", device=CPU)
    torch.testing.assert_close(without.predict(images).logits, network(images / 256))
    assert found.fingerprint != without.fingerprint


def test_caffenet_has_the_size_of_the_reference_network() -> None:
    network = CaffeNet().eval()
    assert sum(p.numel() for p in network.parameters()) == 60_965_224
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 227, 227)).shape == (1, 1000)


def test_caffenet_sees_bgr_bytes_less_the_centre_of_the_mean(tmp_path: Path) -> None:
    state = CaffeNet().state_dict()
    names = sorted({key.partition(".")[0] for key in state})
    layers = {name: [state[f"{name}.weight"], state[f"{name}.bias"]] for name in names}
    tensors = {name: [torch.zeros_like(t) for t in blobs] for name, blobs in layers.items()}
    (tmp_path / "net").write_bytes(caffemodel(tensors, 2))
    mean = torch.arange(3 * 256 * 256).reshape(1, 3, 256, 256) % 200 * 1.0
    (tmp_path / "mean").write_bytes(blob(mean, 1))
    classifier = load_classifier(f"caffe:caffenet:{tmp_path}/net,{tmp_path}/mean", device=CPU)
    assert isinstance(classifier, TorchClassifier)
    first = classifier._module.get_submodule("0")
    pixels = torch.rand(1, 3, 227, 227)
    expected = pixels[:, [2, 1, 0]] * 255 - mean[:, :, 14:241, 14:241]
    torch.testing.assert_close(first(pixels), expected)
    assert (len(classifier.classes), classifier.input_size) == (1000, 227)


def test_caffenet_without_a_mean_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net").write_bytes(caffemodel(lenet_layers()[0], 1))
    with pytest.raises(NetworkError, match="got no mean image"):
        load_classifier(f"caffe:caffenet:{tmp_path}/net", device=CPU)


def test_another_network_is_refused(tmp_path: Path) -> None:
    layers, _ = lenet_layers()
    del layers["conv2"]
    (tmp_path / "net").write_bytes(caffemodel(layers, 1))
    with pytest.raises(NetworkError, match="without weights and bias of conv2"):
        load_classifier(f"caffe:lenet:{tmp_path}/net", device=CPU)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(50), b"\xff" * 30, b"\x12\x7f"])
def test_other_files_are_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(NetworkError, match=r"expected a \.caffemodel"):
        read_caffemodel(data, "file")
    with pytest.raises(NetworkError, match=r"expected a \.binaryproto"):
        read_binaryproto(data, "file")


@pytest.mark.skipif(
    "ISLANDS_CAFFE_LENET" not in os.environ, reason="ISLANDS_CAFFE_LENET names no .caffemodel"
)
def test_the_released_lenet_knows_digits() -> None:
    """Trained on x / 256 without a mean."""
    digits = load_mnist("test")
    classifier = load_classifier(f"caffe:lenet:{os.environ['ISLANDS_CAFFE_LENET']}", device=CPU)
    hits = classifier.predict(digits.images).logits.argmax(1) == digits.labels
    assert hits.float().mean() >= 0.985
