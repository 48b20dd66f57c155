"""How full archives are and how good, in the words of the quality-diversity field; now and over time.

The words are those of pyribs, spelled out. The objective is the confidence, which is never below 0: nothing
is subtracted from it. Imports neither torch nor ray.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from islands.config import RunConfig
from islands.evolution.cells import PAPER
from islands.store.reader import StoreReader

Floats = npt.NDArray[np.float64]


class Statistics(NamedTuple):
    """Of archives of n cells each, one entry an archive: float64, of the shape of the archives."""

    coverage: Floats
    """Share of the cells that are filled, 0 to 1."""
    qd_score: Floats
    """Sum of the confidences of all cells, 0 to n; an empty cell counts 0."""
    normalized_qd_score: Floats
    """The same by number of cells, 0 to 1."""
    best: Floats
    """Highest confidence of the filled cells, 0 to 1; NaN where there are none."""
    mean: Floats
    """Mean confidence of the filled cells, 0 to 1; NaN where there are none."""


def measure(confidence: npt.NDArray[np.floating], filled: npt.NDArray[np.bool_]) -> Statistics:
    """Return the statistics of archives.

    Args:
        confidence: (..., n) of every cell, 0 to 1; that of empty cells is not looked at. n is 1 or more.
        filled: (..., n), which cells have an elite.
    """
    cells, count = confidence.shape[-1], filled.sum(axis=-1)
    total = confidence.sum(axis=-1, dtype=np.float64, where=filled)
    best = confidence.max(axis=-1, initial=0, where=filled).astype(np.float64)
    some = count > 0
    return Statistics(
        coverage=count / cells,
        qd_score=total,
        normalized_qd_score=total / cells,
        best=np.where(some, best, np.nan),
        mean=np.where(some, total / np.maximum(count, 1), np.nan),
    )


def over_time(reader: StoreReader, run: int) -> Statistics:
    """Return the statistics of a run at the end of each epoch: (epoch + 1,).

    Claims on their way count, as among the elites of a checkpoint.

    Raises:
        StoreError: there is no checkpoint yet, no such run, or it cannot be read.
    """
    curves = reader.cell_curves(run)
    if reader.layout == PAPER:
        return measure(curves, _filled(reader.history(run), *curves.shape))
    return measure(curves, ~np.isnan(curves))


def images_by_epoch(config: RunConfig, epochs: int) -> list[int]:
    """Return how many images a run has scored by the end of each of its first epochs."""
    per_epoch = config.evolve.generations_per_epoch
    return [config.evolution.images_by(epoch * per_epoch) for epoch in range(epochs)]


def _filled(history: dict[str, npt.NDArray[Any]], epochs: int, cells: int) -> npt.NDArray[np.bool_]:
    """Return which cells have an elite at the end of each epoch: (epochs, cells); a class has one."""
    # Curves hold 0 for an empty cell, which may be the confidence of an elite as well. What took a cell is in
    # the history, in stores of all versions, and a cell that is filled stays so.
    since = np.full(cells, epochs)
    np.minimum.at(since, history["class"], history["epoch"])
    return since <= np.arange(epochs)[:, None]
