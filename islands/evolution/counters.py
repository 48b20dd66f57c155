"""How many children genomes have had, in plain numpy: what travels and goes into the store."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Counters:
    """n genomes that have had children; those that are not here have had none.

    A count is of one island: whoever comes to another, as a claim or as a migrant, begins there at 0.

    Attributes:
        ids: (n,) int64, increasing.
        children: (n,) int32, above 0.
    """

    ids: npt.NDArray[np.int64]
    children: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)

    @staticmethod
    def none() -> Counters:
        """Return the counters of an island on which nobody counts, or has had children."""
        return Counters(np.empty(0, np.int64), np.empty(0, np.int32))

    @staticmethod
    def among(ids: npt.NDArray[np.int64], children: npt.NDArray[np.int32]) -> Counters:
        """Return those of `ids` (m,), equal ones with equal counts, that have had children."""
        genomes, rows = np.unique(ids, return_index=True)
        some = children[rows] > 0
        return Counters(genomes[some], children[rows][some])

    def of(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Return how many children each of `ids` (m,) has had: (m,) int32."""
        found = np.zeros(len(ids), np.int32)
        if len(self):
            rows = np.searchsorted(self.ids, ids).clip(max=len(self) - 1)
            known = self.ids[rows] == ids
            found[known] = self.children[rows[known]]
        return found
