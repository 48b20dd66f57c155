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
        # Only the bins that are heard of: a driver hears of each island's cells in each of its epochs.
        bins, rows = np.unique(cells // self._places, return_inverse=True)
        places = np.arange(self._places)
        known = (bins[:, None] * self._places + places).ravel()
        fitnesses = np.full((len(bins), 2, self._places), -np.inf, np.float32)
        confidences = np.zeros_like(fitnesses)
        fitnesses[:, 0], confidences[:, 0] = (
            part[known].reshape(-1, self._places) for part in (self._fitness, self.confidence)
        )
        fitnesses[rows, 1, cells % self._places] = fitness
        confidences[rows, 1, cells % self._places] = confidence
        both, seen = (part.reshape(len(bins), 2 * self._places) for part in (fitnesses, confidences))
        for _ in range(2):
            # Stable: of equals the one known before. The second time copies that the first found come last.
            order = np.argsort(-both, axis=1, kind="stable")
            both, seen = np.take_along_axis(both, order, 1), np.take_along_axis(seen, order, 1)
            both[:, 1:][both[:, 1:] == both[:, :-1]] = -np.inf
        kept = both[:, : self._places]
        self._fitness[known] = kept.ravel()
        self.confidence[known] = np.where(kept > -np.inf, seen[:, : self._places], self._empty).ravel()
