"""Which class became which: whose children took a cell, and what else the network sees in elites."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from islands.store.reader import StoreReader

Counts = npt.NDArray[np.int64]

_GROUPS = 25
"""Rows and columns of a matrix at most; of more classes, neighbours are taken together."""
_LISTED = 40
_LEAST = 1e-4
"""Less than this of another class is none."""


class Flows(NamedTuple):
    """Takeovers of one run.

    Attributes:
        between: (K, K) int64, how often a child of an elite of the class of the row took the cell of the
            class of the column; of a child whose parents held that cell, on the diagonal.
        fresh: how often a genome without parents took a cell.
    """

    between: Counts
    fresh: int


def flows(history: Mapping[str, npt.NDArray[Any]], class_count: int) -> Flows:
    """Count takeovers by the class that they came from: that at which the first parent was best.

    Columns `class`, `id`, `parents` and `confidence` of a history are read. A parent that never took a cell
    counts as none.
    """
    taken, parents = history["class"].astype(np.int64), history["parents"].astype(np.int64)
    ids, place = np.unique(history["id"], return_inverse=True)
    if not len(ids):
        return Flows(np.zeros((class_count, class_count), np.int64), 0)
    surest = np.lexsort((-history["confidence"].astype(np.float64), place))
    best = taken[surest][np.unique(place[surest], return_index=True)[1]]
    held = np.unique(place * class_count + taken)
    rows = np.searchsorted(ids, parents).clip(max=len(ids) - 1)
    known = ids[rows] == parents
    own = (known & np.isin(rows * class_count + taken[:, None], held)).any(1)
    origin = np.where(known[:, 0], best[rows[:, 0]], np.where(known[:, 1], best[rows[:, 1]], -1))
    origin[own] = taken[own]
    has_origin = origin >= 0
    pairs = origin[has_origin] * class_count + taken[has_origin]
    between = np.bincount(pairs, minlength=class_count**2).reshape(class_count, class_count)
    return Flows(between.astype(np.int64), int((~has_origin).sum()))


def collect_takeovers(reader: StoreReader) -> dict[str, Any]:
    """Return what the page shows of takeovers and of confusions, all runs together.

    Raises:
        StoreError: the store cannot be read, or has no checkpoint yet.
    """
    k = len(reader.classes)
    found = [flows(reader.history(run), k) for run in range(reader.runs)]
    between = sum((each.between for each in found), np.zeros((k, k), np.int64))
    others = between.copy()
    np.fill_diagonal(others, 0)
    size = math.ceil(k / _GROUPS)
    return {
        "groups": [[first, min(first + size, k) - 1] for first in range(0, k, size)],
        "fresh": sum(each.fresh for each in found),
        "own": int(np.trace(between)),
        "others": int(others.sum()),
        "matrix": _grouped(between, size).tolist(),
        "listed": _largest(others),
        "confusions": _confusions(reader, size),
    }


def _grouped(matrix: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return the sums over blocks of `size` rows and columns."""
    starts = np.arange(0, len(matrix), size)
    blocks: npt.NDArray[Any] = np.add.reduceat(np.add.reduceat(matrix, starts, axis=0), starts, axis=1)
    return blocks


def _largest(matrix: npt.NDArray[Any]) -> list[list[float]]:
    """Return row, column and value of the largest entries above 0, the largest first."""
    order = np.argsort(-matrix, axis=None, kind="stable")[:_LISTED]
    rows, columns = np.unravel_index(order, matrix.shape)
    return [
        [int(row), int(column), matrix[row, column].item()]
        for row, column in zip(rows, columns, strict=True)
        if matrix[row, column] > 0
    ]


def _confusions(reader: StoreReader, size: int) -> dict[str, Any] | None:
    """Return the mean probabilities that elites of a class have of others; None: nothing else is stored."""
    k = len(reader.classes)
    total, filled = np.zeros((k, k)), np.zeros(k)
    for run in range(reader.runs):
        has_elite = np.greater_equal(reader.elite_columns(run, "id")["id"], 0)
        total += np.where(has_elite[:, None], reader.probabilities(run), 0)
        filled += has_elite
    mean = total / np.maximum(filled, 1)[:, None]
    others = mean.copy()
    np.fill_diagonal(others, 0)
    if others.max(initial=0) < _LEAST:
        return None
    members: Sequence[int] = np.bincount(np.arange(k) // size).tolist()
    return {
        "matrix": np.round(_grouped(others, size) / np.array(members)[:, None], 6).tolist(),
        "listed": [[row, column, round(value, 6)] for row, column, value in _largest(others)],
    }
