"""What the built-in measures compute.

Sums are of integers, and so the same on every device and in every batch: a bin is part of a result.
"""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

from islands.encodings.contract import Encoding
from islands.encodings.genomes import Genomes
from islands.encodings.graphs import hidden_nodes

_LEVEL = 6
"""Of zlib: its own default."""


def brightness(images: Tensor, genomes: Genomes, encoding: Encoding) -> Tensor:
    """Measure; see `BrightnessSettings`."""
    del genomes, encoding
    return _mean(images)


def warmth(images: Tensor, genomes: Genomes, encoding: Encoding) -> Tensor:
    """Measure; see `WarmthSettings`."""
    del genomes, encoding
    # Of a grey image the first channel is the last.
    return _mean(images[:, :1]) - _mean(images[:, -1:])


def symmetry(images: Tensor, genomes: Genomes, encoding: Encoding) -> Tensor:
    """Measure; see `SymmetrySettings`."""
    del genomes, encoding
    return 1 - _mean(_difference(images, images.flip(3)))


def detail(images: Tensor, genomes: Genomes, encoding: Encoding) -> Tensor:
    """Measure; see `DetailSettings`."""
    del genomes, encoding
    if images.shape[3] == 1:
        return torch.zeros(len(images), dtype=torch.float64, device=images.device)
    across = _mean(_difference(images[..., 1:], images[..., :-1]))
    down = _mean(_difference(images[:, :, 1:], images[:, :, :-1]))
    return (across + down) / 2


def compressibility(images: Tensor, genomes: Genomes, encoding: Encoding) -> Tensor:
    """Measure; see `CompressibilitySettings`."""
    del genomes, encoding
    saved = [1 - len(zlib.compress(image.tobytes(), _LEVEL)) / image.size for image in images.cpu().numpy()]
    return torch.tensor(saved, dtype=torch.float64, device=images.device)


def nodes(images: Tensor, genomes: Genomes, encoding: Encoding) -> Tensor:
    """Measure; see `NodesSettings`."""
    del images
    return hidden_nodes(genomes, encoding.channels).double()


def _mean(values: Tensor) -> Tensor:
    """Return the mean of the bytes of each image, by 255: float64 (B,)."""
    return values.sum((1, 2, 3), dtype=torch.int64).double() / (255 * values.shape[1:].numel())


def _difference(one: Tensor, other: Tensor) -> Tensor:
    return (one.short() - other.short()).abs()
