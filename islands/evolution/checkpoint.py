"""A consistent cut of all islands of all runs at one epoch: what the store keeps and a resume needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from islands.evolution.ancestors import Ancestors
from islands.evolution.counters import Counters
from islands.evolution.elites import Elites
from islands.evolution.records import Rows
from islands.evolution.scores import HeldOutScores


class Letter(IntEnum):
    """What a row of the mail is."""

    CLAIM = 0
    """In transit to the owner of its class."""
    MIGRANT = 1
    """In transit along the topology; `receivers` is -1: routing is derived again."""
    HELD = 2
    """A migrant that `receivers` holds as a parent candidate."""
    OVERRULED = 3
    """The owner's own elite, where a claim in transit is better; `RunCheckpoint.elites` has the claim."""


@dataclass(frozen=True)
class Mail:
    """Everything an exact resume needs beside the elites; n rows in a fixed order.

    Attributes:
        kinds: (n,) uint8, see `Letter`.
        senders: (n,) int32, the island that mailed the row.
        receivers: (n,) int32.
        sent: (n,) int32, the epoch of mailing.
        elites: n rows.
        boards: (epochs in transit, K) float32, the fitness of every cell at the end of each of the last
            epochs, the newest last.
        counters: of each island, by its number; empty where nobody counts.
    """

    kinds: npt.NDArray[np.uint8]
    senders: npt.NDArray[np.int32]
    receivers: npt.NDArray[np.int32]
    sent: npt.NDArray[np.int32]
    elites: Elites
    boards: npt.NDArray[np.float32]
    counters: tuple[Counters, ...] = ()

    def take(self, rows: npt.NDArray[np.bool_]) -> Mail:
        """Return the letters that a boolean array selects, with all boards and counters."""
        return Mail(
            kinds=self.kinds[rows],
            senders=self.senders[rows],
            receivers=self.receivers[rows],
            sent=self.sent[rows],
            elites=self.elites.take(rows),
            boards=self.boards,
            counters=self.counters,
        )


@dataclass(frozen=True)
class RunCheckpoint:
    """One run at the epoch of the checkpoint.

    Attributes:
        elites: K rows in class order, the best of each cell, claims in transit included.
        changed: (K,) bool, rows of `elites` that may differ from the previous checkpoint.
        mail: what resuming needs beside the elites.
        history: rows since the previous checkpoint (`records.HISTORY`).
        migrations: rows since the previous checkpoint (`records.MIGRATIONS`).
        curves: (epochs since the previous checkpoint, K) float32, confidence at the end of each epoch,
            claims on their way included; the first row of a run is generation 0.
        evaluations: images scored since the start of the run.
        not_finite: those of them that got no finite scores and were skipped.
        ancestors: genomes that hold no cell but have descendants that do, or that are in the mail, in the
            order of ids; None where only ids of ancestors are kept.
    """

    elites: Elites
    changed: npt.NDArray[np.bool_]
    mail: Mail
    history: Rows
    migrations: Rows
    curves: npt.NDArray[np.float32]
    evaluations: int
    not_finite: int = 0
    ancestors: Ancestors | None = None


class WorkerHealth(NamedTuple):
    """How a worker got on until a checkpoint, over the life of the driver; no part of what evolves.

    Attributes:
        worker: its number, from 0; a new process in its place keeps it.
        islands: run and number of those that it evolved last.
        images_per_second: since the checkpoint before.
        lost_epochs: that had to be repeated because it went away.
        restarts: processes that took the place of one that went away.
        heard: when it last finished an epoch, ISO 8601; None: never.
    """

    worker: int
    islands: tuple[tuple[int, int], ...]
    images_per_second: float
    lost_epochs: int
    restarts: int
    heard: str | None


@dataclass(frozen=True)
class Checkpoint:
    """All runs at the end of `epoch` (epoch 0 is generation 0).

    Attributes:
        epoch: the epoch.
        runs: each run.
        scores: what held-out networks say, of those that have said anything new since the last checkpoint;
            no part of what evolves.
        workers: how each got on; empty where nobody noted it.
    """

    epoch: int
    runs: tuple[RunCheckpoint, ...]
    scores: tuple[HeldOutScores, ...] = ()
    workers: tuple[WorkerHealth, ...] = ()
