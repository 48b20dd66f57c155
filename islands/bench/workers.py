"""Measures workers on Ray, and what driver, exchange and commits cost beside them."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import NamedTuple

from islands.archipelago.driver import Progress
from islands.archipelago.ray_executor import RayExecutor
from islands.archipelago.ray_session import connect
from islands.bench.rows import Row
from islands.config import RunConfig
from islands.stages.evolve import evolve
from islands.store.writer import StoreWriter

WORKERS = 2
ROUNDS = 2
EPOCHS = 4


class _Pace(NamedTuple):
    """Images per second of a run once it is warm, and the CPU time of the driver's process over that time."""

    rate: float
    driver: float


def measure_workers(config: RunConfig, seconds: float, images_per_second: float) -> list[Row]:
    """Evolve one island on one worker and two on two, in turns, with mail and with commits to a store.

    Args:
        config: what to measure.
        seconds: about how long an epoch takes.
        images_per_second: of one worker, about.
    """
    import ray

    generations = max(1, round(seconds * images_per_second / config.evolve.children))
    owner = connect(config.ray, config.workers.model_copy(update={"count": WORKERS}))
    folder = Path(tempfile.mkdtemp(prefix="islands-bench-"))
    paces: dict[int, list[_Pace]] = {1: [], WORKERS: []}
    try:
        for number in range(ROUNDS):
            for count, found in paces.items():
                store = str(folder / f"{count}-{number}")
                found.append(_pace(_with_workers(config, count, generations, store)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if owner:
            ray.shutdown()
    one, several = (median(pace.rate for pace in found) for found in paces.values())
    names = f"{WORKERS} islands on {WORKERS} workers"
    epochs = f"epochs of {seconds:g} s"
    return [
        Row("scaling", several / (WORKERS * one), "", f"images/s of {names} over {WORKERS} x one on one"),
        Row("workers", several, "images/s", f"{names}, exchange and commits included"),
        Row(
            "overhead",
            median(pace.driver for pace in paces[WORKERS]),
            "",
            f"CPU time of driver, exchange and commits over run time; {names}, {epochs}",
        ),
    ]


def _with_workers(config: RunConfig, count: int, generations: int, store: str) -> RunConfig:
    """Return `config` with as many islands as workers, and a few epochs that are each committed."""
    return config.model_copy(
        update={
            "runs": 1,
            "store": store,
            "evolve": config.evolve.model_copy(
                update={"generations": EPOCHS * generations, "generations_per_epoch": generations}
            ),
            "islands": config.islands.model_copy(update={"count": count}),
            "workers": config.workers.model_copy(update={"count": count}),
        }
    )


def _pace(config: RunConfig) -> _Pace:
    seen: list[tuple[float, float, Progress]] = []

    def observe(progress: Progress) -> None:
        if progress.epoch >= 0:
            seen.append((time.perf_counter(), time.process_time(), progress))

    with closing(RayExecutor(config)) as executor:
        facts = executor.facts
        sizes = {"channels": facts.channels, "size": facts.size}
        with StoreWriter.create(config.store, config, facts.classes, facts.fingerprint, **sizes) as writer:
            evolve(config, writer, executor, observe)
    (start, busy, first), (end, busy_at_end, last) = seen[0], seen[-1]
    elapsed = end - start
    return _Pace((last.evaluations - first.evaluations) / elapsed, (busy_at_end - busy) / elapsed)
