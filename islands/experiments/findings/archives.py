"""What archives of several runs say together. Imports numpy and scipy only, and these on use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from islands.store.reader import StoreReader

Floats = npt.NDArray[np.float32]
Rows = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Archives:
    """R independent runs of one experiment over K classes.

    Attributes:
        network: label of the network that was fooled.
        confidence: (R, K), of the elites.
        curves: (R, epochs + 1, K), confidence at the end of each epoch.
        generations_per_epoch: generations between two rows of `curves`.
        evaluations: (R,) images scored.
        history: for each run, the columns of `islands.evolution.records.HISTORY`.
    """

    network: str
    confidence: Floats
    curves: Floats
    generations_per_epoch: int
    evaluations: npt.NDArray[np.int64]
    history: tuple[Rows, ...] = ()

    @property
    def runs(self) -> int:
        """R."""
        return len(self.confidence)

    @property
    def generations(self) -> int:
        """The last generation."""
        return int(self.curves.shape[1] - 1) * self.generations_per_epoch

    def at(self, generation: int) -> Floats | None:
        """Return the confidences (R, K) after a generation; None where that was not reached or recorded."""
        epoch, rest = divmod(generation, self.generations_per_epoch)
        return None if rest or epoch >= self.curves.shape[1] else self.curves[:, epoch]

    def reached(self, confidence: float) -> list[int | None]:
        """Return for each run the generation after which every class had it; None: never. To the epoch."""
        found: list[int | None] = []
        for curve in self.curves.min(2) >= np.float32(confidence):
            found.append(int(curve.argmax()) * self.generations_per_epoch if curve.any() else None)
        return found


def read_archives(reader: StoreReader) -> Archives:
    """Return what a store holds."""
    runs = range(reader.runs)
    return Archives(
        network=reader.config.network.label,
        confidence=np.stack([reader.confidence(run) for run in runs]),
        curves=np.stack([reader.curves(run) for run in runs]),
        generations_per_epoch=reader.config.evolve.generations_per_epoch,
        evaluations=np.array([reader.evaluations(run) for run in runs]),
        history=tuple(reader.history(run) for run in runs),
    )


def median_over_runs(confidence: Floats) -> float:
    """Return the median over runs of each run's median over classes; `confidence` is (R, K)."""
    return float(np.median(np.median(confidence, 1)))
