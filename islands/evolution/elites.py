"""A table of elites in plain numpy: what travels between islands and goes into the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Elites:
    """n rows; each is a genome judged for one class, with its scores and its origin.

    Attributes:
        cells: (n,) int32, the cell that each row is judged for; see `CellLayout`. Of a claim, a place in its
            bin: which one it takes, its owner decides.
        fitness: (n,) float32, what insertion compares: the confidence, or the log-odds where ties are broken
            by margin; -inf marks an empty cell.
        probabilities: (n, K) float32, the network's scores of the image over all classes.
        ids: (n,) int64, derived from generation, island and row; -1 in an empty cell.
        parents: (n, 2) int64, ids of the parents; -1 where there is none.
        operators: (n,) uint8, see `islands.encodings.contract.Operator`.
        islands: (n,) int32, the island that made the child.
        epochs: (n,) int32, the epoch in which it was made.
        generations: (n,) int32, the generation in which it was made.
        genomes: arrays of the encoding, each (n, width).
        per_class: cells of each class.
    """

    cells: npt.NDArray[np.int32]
    fitness: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    ids: npt.NDArray[np.int64]
    parents: npt.NDArray[np.int64]
    operators: npt.NDArray[np.uint8]
    islands: npt.NDArray[np.int32]
    epochs: npt.NDArray[np.int32]
    generations: npt.NDArray[np.int32]
    genomes: Arrays
    per_class: int = 1

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def classes(self) -> npt.NDArray[np.int32]:
        """(n,) int32, the class that each row is judged for."""
        return self.cells if self.per_class == 1 else self.cells // np.int32(self.per_class)

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """(n,) float32: the probability of each row's own class; 0 in an empty cell."""
        return np.take_along_axis(self.probabilities, self.classes[:, None].astype(np.int64), 1)[:, 0]

    def take(self, rows: npt.NDArray[np.generic]) -> Elites:
        """Return the rows that an index or boolean array selects."""
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        genomes = {name: array[rows] for name, array in self.genomes.items()}
        return Elites(**columns, genomes=genomes, per_class=self.per_class)

    def put(self, rows: npt.NDArray[np.intp], source: Elites) -> Elites:
        """Return the table with `rows` replaced by the rows of `source`; genomes widen if needed."""
        # Copies: the table before stays as it is for whoever has it, such as the mirror with its last cut.
        columns = {name: getattr(self, name).copy() for name in COLUMNS}
        for name, column in columns.items():
            column[rows] = getattr(source, name)
        genomes = {}
        for name, array in self.genomes.items():
            width = max(array.shape[1], source.genomes[name].shape[1])
            widened = _widen(array, width, copy=True)
            widened[rows] = _widen(source.genomes[name], width)
            genomes[name] = widened
        return Elites(**columns, genomes=genomes, per_class=self.per_class)

    def of_classes(self) -> Elites:
        """Return the best row of each class, where the rows are those of all cells in order."""
        return self if self.per_class == 1 else self.take(best_cells(self.fitness, self.per_class))

    def trimmed(self) -> Elites:
        """Return the table without the trailing columns of genomes that are zero in all rows.

        For encodings whose arrays are padded: how wide a table grew on its way is no part of a result.
        """
        return replace(self, genomes=trim_genomes(self.genomes))

    @staticmethod
    def concatenate(parts: Sequence[Elites]) -> Elites:
        """Stack tables of one run, padding genomes to the widest."""
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
        genomes = stack_genomes([part.genomes for part in parts])
        return Elites(**columns, genomes=genomes, per_class=parts[0].per_class)


COLUMNS = tuple(field.name for field in fields(Elites) if field.name not in ("genomes", "per_class"))


def best_cells(fitness: npt.NDArray[np.floating], per_class: int) -> npt.NDArray[np.intp]:
    """Return the cell of highest fitness of each class (K,), the first of equals, by that of all cells."""
    classes = fitness.reshape(-1, per_class)
    best: npt.NDArray[np.intp] = np.arange(len(classes)) * per_class + classes.argmax(axis=1)
    return best


def stack_genomes(parts: Sequence[Arrays]) -> Arrays:
    """Stack genomes of one encoding, padding to the widest."""
    stacked = {}
    for name in parts[0]:
        width = max(part[name].shape[1] for part in parts)
        stacked[name] = np.concatenate([_widen(part[name], width) for part in parts])
    return stacked


def trim_genomes(genomes: Arrays) -> Arrays:
    """Return genomes without the trailing columns that are zero in all rows."""
    trimmed = {}
    for name, array in genomes.items():
        used = np.flatnonzero((array != 0).any(0))
        trimmed[name] = np.ascontiguousarray(array[:, : used[-1] + 1 if len(used) else 0])
    return trimmed


def _widen(array: npt.NDArray[np.generic], width: int, copy: bool = False) -> npt.NDArray[np.generic]:
    missing = width - array.shape[1]
    if missing == 0:
        return array.copy() if copy else array
    widened = np.zeros((len(array), width), array.dtype)  # a tenth of the time of `np.pad`
    widened[:, : array.shape[1]] = array
    return widened
