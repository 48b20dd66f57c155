"""The packaged networks know what they were trained on."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
import torch

from islands.classifiers.catalogue import NETWORKS
from islands.classifiers.registry import load_classifier, resolve_device
from islands.classifiers.state_dicts import require_sha256
from islands.datasets.mnist import load_mnist
from islands.errors import ConfigError, NetworkError
from tests.classifiers.photographs import of_foolbox, right

CPU = torch.device("cpu")


def test_lenet_classifies_99_percent_of_the_test_digits() -> None:
    digits = load_mnist("test")
    classifier = load_classifier("lenet-mnist", device=CPU)
    hits = classifier.predict(digits.images).probabilities.argmax(1) == digits.labels
    record = json.loads((files("islands.classifiers") / "weights/lenet-mnist.json").read_text())
    assert hits.float().mean().item() == pytest.approx(record["test_accuracy"], abs=2e-4)
    assert record["test_accuracy"] >= 0.99


def test_efficientnet_lite0_knows_real_photographs() -> None:
    """RobustBench #59, #99: a wrong normalisation goes unnoticed until real images are classified."""
    classifier = load_classifier("efficientnet-lite0", device=CPU)
    assert right(classifier, of_foolbox()) >= 17


def test_weights_with_another_checksum_are_refused() -> None:
    with pytest.raises(NetworkError, match="expected 0000"):
        require_sha256(b"weights", "0000", "file")


def test_unknown_networks_are_answered_with_the_nearest() -> None:
    with pytest.raises(NetworkError, match="did you mean 'lenet-mnist'"):
        load_classifier("lenet_mnist", device=CPU)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_catalogue_tells_the_truth(name: str) -> None:
    classifier, entry = load_classifier(name, device=CPU), NETWORKS[name]
    assert len(classifier.classes) == len(set(classifier.classes))
    assert (len(classifier.classes), classifier.channels, classifier.input_size) == (
        entry.class_count,
        entry.channels,
        entry.input_size,
    )


def test_auto_finds_a_device_and_absent_ones_are_refused() -> None:
    assert resolve_device("auto").type in ("cuda", "mps", "cpu")
    absent = [name for name in ("cuda", "mps") if not getattr(torch, name).is_available()]
    for name in absent:
        with pytest.raises(ConfigError, match=f"got {name}, but this machine offers"):
            resolve_device(name)


def test_only_who_has_a_gpu_takes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of Ray that reserve none would all take the same one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"
    assert resolve_device("auto", has_gpu=False).type in ("mps", "cpu")
    with pytest.raises(ConfigError, match="reserve no GPU; set gpus"):
        resolve_device("cuda", has_gpu=False)
