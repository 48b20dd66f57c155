"""Append-only rows that an epoch leaves behind, as columns of numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from islands.evolution.cells import CellLayout

Rows = dict[str, npt.NDArray[np.generic]]
Schema = Mapping[str, tuple[type[np.generic], tuple[int, ...]]]

HISTORY: Schema = {
    "epoch": (np.int32, ()),  # in which the cell was taken
    "class": (np.int32, ()),
    "id": (np.int64, ()),
    "parents": (np.int64, (2,)),
    "operator": (np.uint8, ()),
    "island": (np.int32, ()),  # that made the child
    "generation": (np.int32, ()),  # in which it was made
    "claimed": (np.bool_, ()),  # it came by mail
    "confidence": (np.float32, ()),
}
"""One row per improvement: a cell was taken. Columns (name: dtype, shape of an entry)."""

CELL: Schema = {"cell": (np.int32, ())}
"""Which of the cells of the class was taken; only where a class has several."""


def history(layout: CellLayout) -> Schema:
    """Return the columns of a history."""
    return HISTORY if layout.per_class == 1 else {**HISTORY, **CELL}


MIGRATIONS: Schema = {
    "epoch": (np.int32, ()),  # in which it was received
    "kind": (np.uint8, ()),  # `checkpoint.Letter`: CLAIM or MIGRANT
    "sender": (np.int32, ()),
    "receiver": (np.int32, ()),
    "class": (np.int32, ()),
    "id": (np.int64, ()),
    "confidence": (np.float32, ()),
    "accepted": (np.bool_, ()),  # took the cell, or joined the held migrants
}
"""One row per elite received."""


def empty(schema: Schema) -> Rows:
    """Return zero rows of `schema`."""
    return {name: np.empty((0, *shape), dtype) for name, (dtype, shape) in schema.items()}


def stack(parts: Sequence[Rows]) -> Rows:
    """Concatenate at least one set of rows of the same schema."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
