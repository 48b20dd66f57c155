"""Where a run stands, as the driver tells those who watch it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        epoch: the last epoch that every island has done; -1 before generation 0 is judged.
        epochs: the last epoch of the budget.
        generation: the generation that `epoch` ends with.
        evaluations: images scored since the start, all runs.
        evaluations_per_second: over the life of this process.
        confidence: (runs, K) float32 of every cell, claims on their way included, as in checkpoints; 0 until
            its island has reported, which all have at epoch 0.
        next_checkpoint_s: seconds until the next commit.
        losses: epochs that had to be repeated because a worker went away.
        unscored: scores on held-out networks that the last checkpoint lacks.
        parcels: sets of claims and of migrants that islands mailed, over the life of this process.
        not_finite: images since the start that got no finite scores and were skipped, all runs.
        commit_s: seconds that the last commit took; 0 before the first.
        commit_failures: tries that the commit under way has failed.
        efficiency: share of the workers' time in which they evolved, over the life of this process.
        generations: the last generation of the budget.

    Example:
        >>> seen = []
        >>> budget = {"initial": 20, "children": 20}
        >>> run = islands.evolve("linear-mnist", generations=10, evolve=budget, observe=seen.append)
        >>> seen[-1].epoch, seen[-1].evaluations
        (1, 220)
    """

    epoch: int
    epochs: int
    generation: int
    evaluations: int
    evaluations_per_second: float
    confidence: npt.NDArray[np.float32]
    next_checkpoint_s: float
    losses: int
    unscored: int = 0
    parcels: int = 0
    not_finite: int = 0
    commit_s: float = 0.0
    efficiency: float = 0.0
    commit_failures: int = 0
    generations: int = 0


Observe = Callable[[Progress], None]
"""Called about once an epoch, and again in the end."""


def observe_nothing(_progress: Progress) -> None:
    """Watch nothing."""
