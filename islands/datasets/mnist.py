"""MNIST and Fashion-MNIST: 60,000 and 10,000 images, 28 x 28, white on black, of ten classes."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from islands.datasets.assets import ASSETS, MNIST_MD5, pull
from islands.errors import DataError

MD5 = MNIST_MD5


class Labelled(NamedTuple):
    """Images uint8 (n, 1, 28, 28) and labels int64 (n,)."""

    images: Tensor
    labels: Tensor


def load_mnist(split: str) -> Labelled:
    """Return the `train` or the `test` digits (LeCun et al. 1998); fetched once, checked each time.

    Raises:
        DataError: the files cannot be had, or are damaged.
    """
    return _load("mnist", split)


def load_fashion_mnist(split: str) -> Labelled:
    """Return the `train` or the `test` clothes (Xiao et al. 2017); see `load_mnist`."""
    return _load("fashion-mnist", split)


def _load(name: str, split: str) -> Labelled:
    if split not in ("train", "test"):
        raise DataError(f"{name} has no split {split!r}; expected train or test")
    folder = pull(ASSETS[name])
    prefix = "train" if split == "train" else "t10k"
    images = _read(folder / f"{prefix}-images-idx3-ubyte.gz", header=16).reshape(-1, 1, 28, 28)
    labels = _read(folder / f"{prefix}-labels-idx1-ubyte.gz", header=8)
    return Labelled(images, labels.to(torch.int64))


def _read(path: Path, header: int) -> Tensor:
    return torch.from_numpy(np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header).copy())
