"""Labelled real images that no network here was trained on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from islands.datasets.assets import ASSETS, PHOTOGRAPH_LABELS, pull
from islands.datasets.mnist import load_mnist
from islands.datasets.pictures import read_picture


class Real(NamedTuple):
    """Images uint8 (n, channels, size, size), their classes (n,), and what they are in words."""

    images: Tensor
    labels: npt.NDArray[np.int64]
    name: str


def real_images(classes: tuple[str, ...], channels: int, size: int) -> Real | None:
    """Return test images of these classes: 10,000 digits of MNIST, or photographs of ImageNet's classes.

    Photographs are resized to `size` pixels a side; digits are as they are. None: no images of these classes
    are known.

    Raises:
        DataError: they cannot be had.
    """
    if classes == tuple("0123456789") and channels == 1:
        digits = load_mnist("test")
        return Real(digits.images, digits.labels.numpy(), "test digits of MNIST")
    if len(classes) != 1000 or channels != 3:
        return None
    folder = pull(ASSETS["photographs"])
    pictures = []
    for name in ASSETS["photographs"].digests:
        picture = Image.fromarray(read_picture(folder / name, channels=3))
        pictures.append(np.array(picture.resize((size, size))))
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    name = f"photographs of ImageNet's classes, {size} x {size} pixels"
    return Real(images, np.array(PHOTOGRAPH_LABELS), name)
