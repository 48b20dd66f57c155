"""Labelled real images that no network here was trained on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from islands.classifiers.imagenet import imagenet_classes
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
    if channels != 3 or (labels := photograph_labels(classes)) is None:
        return None
    folder = pull(ASSETS["photographs"])
    pictures = []
    for name in ASSETS["photographs"].digests:
        picture = Image.fromarray(read_picture(folder / name, channels=3))
        pictures.append(np.array(picture.resize((size, size))))
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    name = f"photographs of ImageNet's classes, {size} x {size} pixels"
    return Real(images, np.array(labels), name)


def photograph_labels(classes: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return the classes of the known photographs, in whatever order a network has ImageNet's classes.

    Where it has other names for them, they are in the usual order. None: they are other classes, or some of
    the names are there and say that the order is another.
    """
    if len(classes) != len(names := imagenet_classes()):
        return None
    place = {name: index for index, name in enumerate(classes)}
    found = [place.get(names[label]) for label in PHOTOGRAPH_LABELS]
    if all(index in (None, label) for index, label in zip(found, PHOTOGRAPH_LABELS, strict=True)):
        return PHOTOGRAPH_LABELS
    return None if None in found else tuple(index for index in found if index is not None)
