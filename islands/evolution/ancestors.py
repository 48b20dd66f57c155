"""Genomes that no longer hold a cell but have descendants that do: what a lineage is drawn from.

Every parent was an elite of its island or a migrant, so the history has a row for each ancestor. Its genome
is gone with its cell; here those are kept that still matter, and dropped when their last descendant dies out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from islands.evolution.elites import Arrays, Elites, stack_genomes, trim_genomes

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ancestors:
    """n genomes.

    Attributes:
        ids: (n,) int64.
        parents: (n, 2) int64, ids of the parents; -1 where there is none.
        genomes: arrays of the encoding, each (n, width).
    """

    ids: Ids
    parents: Ids
    genomes: Arrays

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: npt.NDArray[np.generic]) -> Ancestors:
        """Return the rows that an index or boolean array selects."""
        genomes = {name: array[rows] for name, array in self.genomes.items()}
        return Ancestors(self.ids[rows], self.parents[rows], genomes)

    def trimmed(self) -> Ancestors:
        """Return the table without the trailing columns of genomes that are zero in all rows."""
        return Ancestors(self.ids, self.parents, trim_genomes(self.genomes))


def ancestors_among(known: Sequence[Elites | Ancestors], living: Sequence[Elites], holders: Ids) -> Ancestors:
    """Return those of `known` genomes that `living` ones descend from, in the order of ids.

    Genomes that hold a cell (ids in `holders`) are left out: they are stored already.
    """
    # A genome may be known as an elite, a migrant and a claim at once. Its rows are equal: any will do.
    ids, rows = np.unique(np.concatenate([table.ids for table in known]), return_index=True)
    parents = np.concatenate([table.parents for table in known])[rows]
    born_of = np.concatenate([table.parents for table in living])
    wanted = np.setdiff1d(descent(born_of, ids, parents), holders)
    chosen = np.sort(rows[np.searchsorted(ids, wanted)])
    # Only what is wanted is copied: a run knows many more genomes than it keeps.
    starts = np.cumsum([0, *map(len, known)])
    parts = [
        table.take(chosen[(chosen >= start) & (chosen < start + len(table))] - start)
        for table, start in zip(known, starts[:-1], strict=True)
    ]
    found = Ancestors(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.parents for part in parts]),
        # An epoch that lost no ancestors has a table without arrays.
        stack_genomes([part.genomes for part in parts if part.genomes]),
    )
    return found.take(np.argsort(found.ids))


def descent(parents: Ids, known: Ids, parents_of_known: Ids) -> Ids:
    """Return all ids in `known` that are in `parents`, or are parents of such, and so on; in order.

    Args:
        parents: of any shape; -1 means none.
        known: (n,), increasing.
        parents_of_known: (n, 2).
    """
    reached = np.zeros(len(known), np.bool_)
    fringe = _rows(parents, known)
    while len(fringe):
        reached[fringe] = True
        fringe = _rows(parents_of_known[fringe], known)
        # Lineages meet: what was reached another way is not followed again.
        fringe = fringe[~reached[fringe]]
    return known[reached]


def _rows(ids: Ids, known: Ids) -> npt.NDArray[np.intp]:
    """Return the rows of `known` that hold one of `ids`."""
    wanted = np.unique(ids[ids >= 0])
    rows = np.searchsorted(known, wanted)
    inside = rows < len(known)
    rows, wanted = rows[inside], wanted[inside]
    found: npt.NDArray[np.intp] = rows[known[rows] == wanted]
    return found
