"""What an archive is worth once all mail is read, without its genomes: for curves and for whoever watches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from islands.evolution.cells import PAPER, CellLayout


class Settled:
    """What every bin holds, or will once all mail is read: its best of different fitness, the best first.

    Attributes:
        confidence: (cells,) float32; where nothing is known 0, and NaN where classes have several cells.
    """

    def __init__(self, cells: int, layout: CellLayout) -> None:
        self._places = layout.places
        self._fitness = np.full(cells, -np.inf, np.float32)
        self._empty = np.float32(0 if layout == PAPER else np.nan)
        self.confidence = np.full(cells, self._empty)

    def take(
        self,
        cells: npt.NDArray[np.integer],
        fitness: npt.NDArray[np.float32],
        confidence: npt.NDArray[np.float32],
    ) -> None:
        """Hear of images, at most one for a cell; what is heard again changes nothing, nor does the order."""
        heard, seen = np.full_like(self._fitness, -np.inf), np.zeros_like(self.confidence)
        heard[cells], seen[cells] = fitness, confidence
        both = np.concatenate([part.reshape(-1, self._places) for part in (self._fitness, heard)], axis=1)
        known = np.concatenate([part.reshape(-1, self._places) for part in (self.confidence, seen)], axis=1)
        for _ in range(2):
            # Stable: of equals the one known before. The second time copies that the first found come last.
            order = np.argsort(-both, axis=1, kind="stable")
            both, known = np.take_along_axis(both, order, 1), np.take_along_axis(known, order, 1)
            both[:, 1:][both[:, 1:] == both[:, :-1]] = -np.inf
        kept = both[:, : self._places]
        self._fitness = kept.ravel()
        self.confidence = np.where(kept > -np.inf, known[:, : self._places], self._empty).ravel()
