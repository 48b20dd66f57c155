"""Genomes of ancestors, read when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from islands.evolution.elites import Arrays
from islands.store.digests import RowDigests, of_rows, require_same
from islands.store.location import Location
from islands.store.repository import reading


@dataclass(frozen=True)
class AncestorTable:
    """Genomes that today's elites descend from, in the order of ids; read when they are asked for.

    Attributes:
        ids: (n,) int64.
        parents: (n, 2) int64.
        digests: (n, `schema.DIGEST_BYTES`) uint8; None where all genomes have been checked at once.
        places: (n,) rows in the store.
        arrays: of the encoding.
        widths: of these, unpadded.
        path: of the store.
    """

    ids: npt.NDArray[np.int64]
    parents: npt.NDArray[np.int64]
    digests: RowDigests | None
    places: npt.NDArray[np.intp]
    arrays: Mapping[str, zarr.Array[Any]]
    widths: Mapping[str, int]
    path: Location

    def genomes(self, rows: slice) -> Arrays:
        """Return genomes, each array (n, width).

        Raises:
            StoreDamagedError: they are not what was written.
        """
        places = self.places[rows]
        with reading(self.path, "genomes of ancestors"):
            found = {
                # By row: places that came free are taken again, so that neighbours may lie far apart. The
                # arrays have room for wider genomes: what lies behind the width is padding.
                name: np.ascontiguousarray(self.arrays[name].oindex[places, slice(0, width)])
                for name, width in self.widths.items()
            }
            if self.digests is not None:
                require_same(of_rows(self.ids[rows], found), self.digests[rows])
        return found
