"""What evolved against a network, as images to train others on and as numbers to report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from islands.config import RunConfig
from islands.runs.controls import generation_0
from islands.store.images import stored_encoding
from islands.store.reader import StoreReader

CLASS = "fooling"
"""Name of the class that a network gets for images that mean nothing."""


def last_images(reader: StoreReader, classes: int) -> Tensor:
    """Return the elites of the first `classes` cells of all runs, uint8 (runs x classes, channels, H, W)."""
    encoding, images = stored_encoding(reader), []
    for run in range(reader.runs):
        genomes = reader.genomes(run, slice(classes))
        with torch.inference_mode():
            images.append(encoding.render(encoding.from_arrays(genomes, torch.device("cpu"))))
    return torch.cat(images).clone()


def first_images(reader: StoreReader, classes: int) -> Tensor:
    """Return the same of generation 0."""
    found = generation_0(reader, reader.runs * len(reader.classes))
    return found.images[torch.from_numpy(found.classes < classes)].clone()


def sample(reader: StoreReader, classes: int, n: int, seed: int) -> Tensor:
    """Return `n` fooling images, half of generation 0 and half of the last, drawn over runs and classes.

    That is how the paper's section 3.6 has them. Cells beyond `classes` are left out: what is in the cell of
    the class for fooling images fools nobody.
    """
    chosen = np.random.default_rng([seed, n])
    parts = []
    for images, count in (
        (first_images(reader, classes), n - n // 2),
        (last_images(reader, classes), n // 2),
    ):
        rows = np.sort(chosen.choice(len(images), count, replace=False))
        parts.append(images[torch.from_numpy(rows)])
    return torch.cat(parts)


def summary(reader: StoreReader, classes: int) -> dict[str, Any]:
    """Return what is reported of the confidences of the first `classes` cells over all runs."""
    confidence = np.stack([reader.confidence(run)[:classes] for run in range(reader.runs)])
    return {
        "runs": reader.runs,
        "images": int(confidence.size),
        "generations": reader.generation,
        "median": float(np.median(confidence)),
        "confidence": confidence.astype(float).tolist(),
        "at_99": float((confidence >= 0.99).mean()),
        "at_9999": float((confidence >= 0.9999).mean()),
    }


def evolution_config(config: RunConfig, store: Path, **settings: Any) -> RunConfig:
    """Return the configuration of one evolution of an experiment, with a store of its own."""
    return config.model_copy(update={"parameters": {}, "store": str(store), **settings})


def derived_seed(seed: int, *keys: int) -> int:
    """Return a seed for one part of an experiment; parts of equal keys share it."""
    return int(np.random.SeedSequence([seed, *keys]).generate_state(1, np.uint32)[0])
