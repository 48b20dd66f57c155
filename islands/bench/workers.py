"""Measures workers on Ray, and what driver, exchange and commits cost beside them."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

from islands.archipelago.host import build_parts
from islands.archipelago.progress import Progress
from islands.archipelago.ray_executor import RayExecutor
from islands.archipelago.ray_session import connect
from islands.bench.rows import Row
from islands.config import RunConfig, WorkConfig
from islands.runs.evolve import evolve
from islands.store.writer import StoreWriter

WORKERS = 2
ROUNDS = 2
EPOCHS = 3
"""At least, beside the first and the last two, which have commits of their own."""


class _Pace(NamedTuple):
    """Images per second of a run once it is warm, and the CPU time of the driver's process over that time."""

    rate: float
    driver: float


def measure_workers(config: WorkConfig, seconds: float, images_per_second: float) -> list[Row]:
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
        network = _scaling_of_the_network(config, seconds)
        for number in range(ROUNDS):
            for count, found in paces.items():
                # One commit is due in that time.
                epochs = EPOCHS if count == 1 else max(EPOCHS, math.ceil(config.checkpoint.every_s / seconds))
                store = str(folder / f"{count}-{number}")
                found.append(_pace(_with_workers(config, count, generations, epochs + 3, store)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if owner:
            ray.shutdown()
    one, several = (median(pace.rate for pace in found) for found in paces.values())
    names = f"{WORKERS} islands on {WORKERS} workers"
    epochs_of = f"epochs of {seconds:g} s, a commit every {config.checkpoint.every_s:g} s"
    return [
        Row("scaling", several / (WORKERS * one), "", f"images/s of {names} over {WORKERS} x one on one"),
        Row("scaling_network", network, "", f"the same of the network alone, in {WORKERS} processes at once"),
        Row("workers", several, "images/s", f"{names}, exchange and commits included"),
        Row(
            "overhead",
            median(pace.driver for pace in paces[WORKERS]),
            "",
            f"CPU time of driver, exchange and commits over run time; {names}, {epochs_of}",
        ),
    ]


class _Network:
    """A worker that does nothing but score images that are drawn already."""

    def __init__(self, config: WorkConfig) -> None:
        torch.set_num_threads(config.workers.threads)
        encoding, self._classifier = build_parts(config)
        generator = torch.Generator(self._classifier.device).manual_seed(0)
        self._images = encoding.render(encoding.random(config.evolve.children, generator))

    def rate(self, seconds: float) -> float:
        """Return images per second."""
        started, done = time.perf_counter(), 0
        while time.perf_counter() < started + seconds:
            self._classifier.predict(self._images).logits.sum().item()
            done += len(self._images)
        return done / (time.perf_counter() - started)


def _scaling_of_the_network(config: WorkConfig, seconds: float) -> float:
    """Return images per second of several networks at once over as many times those of one alone."""
    import ray

    resources = {"num_cpus": config.workers.cpus, "num_gpus": config.workers.gpus}
    networks: list[Any] = [ray.remote(_Network).options(**resources).remote(config) for _ in range(WORKERS)]

    def rate(chosen: list[Any], seconds: float) -> float:
        return float(sum(ray.get([network.rate.remote(seconds) for network in chosen])))

    rate(networks, 0.2 * seconds)  # warm all
    ratios = [rate(networks, seconds) / (WORKERS * rate(networks[:1], seconds)) for _ in range(ROUNDS)]
    for network in networks:
        ray.kill(network)
    return median(ratios)


def _with_workers(config: WorkConfig, count: int, generations: int, epochs: int, store: str) -> RunConfig:
    """Return a run with as many islands as workers, and a few epochs of so many generations."""
    return RunConfig(
        **{
            **dict(config),
            "pipeline": "custom",
            "runs": 1,
            "store": store,
            "evolve": config.evolve.model_copy(
                update={"generations": epochs * generations, "generations_per_epoch": generations}
            ),
            "islands": config.islands.model_copy(update={"count": count}),
            "workers": config.workers.model_copy(update={"count": count}),
        }
    )


def _pace(config: RunConfig) -> _Pace:
    seen: list[tuple[float, float, Progress]] = []

    def observe(progress: Progress) -> None:
        if 2 <= progress.epoch < progress.epochs and (not seen or progress.epoch > seen[-1][2].epoch):
            seen.append((time.perf_counter(), time.process_time(), progress))

    with closing(RayExecutor(config)) as executor:
        executor.workers.wait_for_all()
        facts = executor.facts
        sizes = {"channels": facts.channels, "size": facts.size}
        with StoreWriter.create(config.store, config, facts.classes, facts.fingerprint, **sizes) as writer:
            evolve(config, writer, executor, observe)
    (start, busy, first), (end, busy_at_end, last) = seen[0], seen[-1]
    elapsed = end - start
    return _Pace((last.evaluations - first.evaluations) / elapsed, (busy_at_end - busy) / elapsed)
