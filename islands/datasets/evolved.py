"""Evolved images as a PyTorch data set: for detectors of out-of-distribution images, and for retraining."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from islands.config.written import expand_path
from islands.store.images import render_genome, stored_encoding
from islands.store.reader import StoreReader


class EvolvedImages(Dataset[tuple[Any, int]]):
    """The elites of a store, with the classes that the source network takes them for.

    Everything is read at once, so that loaders may copy it into other processes; images are drawn on access,
    byte for byte as they were scored.

    Args:
        store: its path, as of `islands.open`.
        transform: takes an image, uint8 (channels, H, W); None: images come as they are.
        least: elites below this confidence (0 to 1) are left out.
        at: an epoch, a tag or the id of a checkpoint; None: the latest.

    Raises:
        StoreError: the store cannot be read, or has no checkpoint yet.

    Attributes:
        classes: the K names of the source network's classes.
        rows: run and class of each item.
        confidence: of each item, 0 to 1.
    """

    def __init__(
        self,
        store: str | Path,
        transform: Callable[[Tensor], Any] | None = None,
        *,
        least: float = 0.0,
        at: str | int | None = None,
    ) -> None:
        reader = StoreReader(expand_path(store) if isinstance(store, str) else store, at)
        self.classes = reader.classes
        self.rows: list[tuple[int, int]] = []
        self.confidence: list[float] = []
        self._transform = transform
        self._encoding = stored_encoding(reader)
        self._genomes = [reader.genomes(run) for run in range(reader.runs)]
        for run in range(reader.runs):
            ids, confidence = reader.elite_columns(run, "id")["id"], reader.confidence(run)
            for class_ in np.flatnonzero(np.greater_equal(ids, 0) & (confidence >= np.float32(least))):
                self.rows.append((run, int(class_)))
                self.confidence.append(float(confidence[class_]))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Return the image, as `transform` made it, and its class."""
        run, class_ = self.rows[index]
        genome = {name: array[class_ : class_ + 1] for name, array in self._genomes[run].items()}
        picture = render_genome(self._encoding, genome)
        image = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
        return (image if self._transform is None else self._transform(image)), class_
