"""Labelled images as training wants them: by rows, so that folders need not fit into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from islands.datasets.mnist import Labelled


class Examples(Protocol):
    """n labelled images."""

    def __len__(self) -> int: ...

    @property
    def digest(self) -> str:
        """Sha256 of images and labels: equal digests train alike."""
        ...

    def take(self, rows: Tensor) -> Labelled:
        """Return the images of `rows` (m,) int64, in that order."""
        ...


class InMemory:
    """Images uint8 (n, channels, size, size) and labels int64 (n,) held in memory."""

    def __init__(self, data: Labelled) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data.labels)

    @property
    def digest(self) -> str:
        """Sha256 of shape, images and labels."""
        sha = hashlib.sha256(str(tuple(self._data.images.shape)).encode())
        for tensor in self._data:
            sha.update(tensor.contiguous().numpy().tobytes())
        return sha.hexdigest()

    def take(self, rows: Tensor) -> Labelled:
        """Return the images of `rows`."""
        return Labelled(self._data.images[rows], self._data.labels[rows])


class Joined:
    """Several sets of images one after the other."""

    def __init__(self, parts: Sequence[Examples]) -> None:
        self._parts = parts
        self._starts = torch.tensor([0, *(len(part) for part in parts)]).cumsum(0)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def digest(self) -> str:
        """Sha256 of the parts' digests."""
        return hashlib.sha256(" ".join(part.digest for part in self._parts).encode()).hexdigest()

    def take(self, rows: Tensor) -> Labelled:
        """Return the images of `rows`."""
        owner = torch.bucketize(rows, self._starts[1:], right=True)
        places = [(owner == part).nonzero().squeeze(1) for part in range(len(self._parts))]
        found = [
            part.take(rows[place] - start)
            for part, start, place in zip(self._parts, self._starts, places, strict=False)
            if len(place)
        ]
        order = torch.cat(places).argsort()
        return Labelled(*(torch.cat(column)[order] for column in zip(*found, strict=True)))


def of_class(images: Tensor, label: int) -> InMemory:
    """Return images that all bear one label."""
    return InMemory(Labelled(images, torch.full((len(images),), label)))


def first(data: Labelled, n: int | None) -> InMemory:
    """Return the first `n` images; None: all."""
    return InMemory(Labelled(data.images[:n], data.labels[:n]))
