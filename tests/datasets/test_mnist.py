"""MNIST comes whole, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from islands.datasets.mnist import load_mnist
from islands.errors import DataError
from islands.folders import cache_directory


@pytest.mark.parametrize(("split", "n"), [("train", 60_000), ("test", 10_000)])
def test_digits_have_the_known_shapes_and_labels(split: str, n: int) -> None:
    images, labels = load_mnist(split)
    assert images.shape == (n, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert labels.unique().tolist() == list(range(10))
    assert 32 < images.float().mean() < 34.5


def test_damaged_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_mnist("test")
    shutil.copytree(cache_directory() / "mnist", tmp_path / "mnist")
    with (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").open("r+b") as file:
        file.seek(100)
        file.write(b"\x00\xff")
    monkeypatch.setenv("ISLANDS_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="remove the file and try again"):
        load_mnist("test")


def test_unknown_splits_are_refused() -> None:
    with pytest.raises(DataError, match="expected train or test"):
        load_mnist("validation")
