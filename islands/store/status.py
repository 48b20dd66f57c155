"""Where a run stands. Imports neither torch nor ray."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from islands.evolution.checkpoint import WorkerHealth
from islands.store.location import is_store_folder
from islands.store.reader import StoreReader
from islands.store.schema import THRESHOLDS
from islands.texts import islands_command


@dataclass(frozen=True)
class Status:
    """Numbers over all runs of a store; those of elites are 0 before the first checkpoint.

    Attributes:
        store: its path or URL.
        pipeline: the experiment.
        network: the source network's label.
        runs: independent archives.
        cells: classes times runs.
        epoch: of the latest checkpoint; None before the first.
        epochs: the last epoch of the budget.
        generation: likewise; 0 before the first.
        generations: the budget.
        complete: whether the budget is spent.
        written_by: the process that writes now; None where there is none.
        median_confidence: over all cells, empty ones as 0.
        median_at_start: likewise of generation 0, the random images.
        cells_at: cells of at least each confidence of `schema.THRESHOLDS`, under its name there.
        coverage: share of all cells that are filled, 0 to 1.
        qd_score: sum of the confidences of all cells, 0 to `cells`; an empty one counts 0.
        evaluations: images scored.
        not_finite: those of them that got no finite scores and were skipped.
        checkpoints: commits that can be read with `--at`.
        last_written: time of the latest, ISO 8601; None before the first.
        workers: how each got on until then; empty in stores of before.
        bytes: size on disk; in a bucket that of chunks.
        conditions: see `StoreReader.conditions`.
        queries: see `StoreReader.queries`.
        next: the command to type next.
    """

    store: str
    pipeline: str
    network: str
    runs: int
    cells: int
    epoch: int | None
    epochs: int
    generation: int
    generations: int
    complete: bool
    written_by: str | None
    median_confidence: float
    median_at_start: float
    cells_at: dict[str, int]
    coverage: float
    qd_score: float
    evaluations: int
    not_finite: int
    checkpoints: int
    last_written: str | None
    workers: tuple[WorkerHealth, ...]
    bytes: int
    conditions: tuple[dict[str, Any], ...]
    queries: dict[str, int]
    next: str


def stores_in(folder: Path) -> list[Path]:
    """Return the stores in a folder and in the folders within it, in the order of their names.

    What lies within a store is its own; links are not followed, and `_DEEPEST` folders are looked into.
    """
    found: list[Path] = []
    for name, folders, _ in os.walk(folder):
        place = Path(name)
        if is_store_folder(place):
            found.append(place)
        deep = is_store_folder(place) or len(place.relative_to(folder).parts) == _DEEPEST
        folders[:] = [] if deep else sorted(each for each in folders if not each.startswith("."))
    return sorted(found)


_DEEPEST = 4


def read_status(location: Path | str) -> Status:
    """Read the status of a store, which may be in the midst of being written.

    Raises:
        StoreError: it cannot be read.
    """
    reader = StoreReader(location)
    runs = range(reader.runs) if reader.epoch is not None else ()
    cells = reader.runs * len(reader.classes)
    confidence = np.concatenate([np.zeros(0, np.float32), *(reader.confidence(run) for run in runs)])
    columns = [reader.cell_columns(run, "confidence", "id") for run in runs]
    filled = sum(int(np.greater_equal(each["id"], 0).sum()) for each in columns)
    checkpoints = reader.checkpoints()
    writer = str(reader.writer) if reader.writer else None
    return Status(
        store=str(reader.path),
        pipeline=reader.config.pipeline,
        network=reader.config.network.label,
        runs=reader.runs,
        cells=cells,
        epoch=reader.epoch,
        epochs=reader.config.evolve.epochs,
        generation=reader.generation if reader.epoch is not None else 0,
        generations=reader.config.evolve.generations,
        complete=reader.complete,
        written_by=writer,
        median_confidence=float(np.median(confidence)) if len(confidence) else 0.0,
        median_at_start=float(np.median([reader.curves(run, 1)[0] for run in runs])) if len(runs) else 0.0,
        cells_at={name: int((confidence >= np.float32(least)).sum()) for name, least in THRESHOLDS.items()},
        coverage=filled / (cells * reader.layout.per_class),
        qd_score=float(sum(each["confidence"].sum(dtype=np.float64) for each in columns)),
        evaluations=sum(reader.evaluations(run) for run in runs),
        not_finite=sum(reader.not_finite(run) for run in runs),
        checkpoints=len(checkpoints),
        last_written=checkpoints[-1].written_at.isoformat(timespec="seconds") if checkpoints else None,
        workers=checkpoints[-1].workers if checkpoints else (),
        bytes=reader.size,
        conditions=reader.conditions,
        queries=reader.queries,
        next=_next(reader, writer),
    )


def _next(reader: StoreReader, writer: str | None) -> str:
    if reader.complete:
        return islands_command("show", reader.path, "--sheet")
    return islands_command("resume" if writer is None else "status", reader.path)
