"""Says what a run would take, before it is started: what `islands plan` calls."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass, replace
from typing import Any

from islands import pipelines
from islands.archipelago.host import build_host
from islands.archipelago.messages import Inbox, IslandKey
from islands.config import RunConfig
from islands.config.files import variants_of
from islands.memory import peak_memory
from islands.migration.slices import class_slices
from islands.stages.launch import require_fit
from islands.stages.train import train_missing


@dataclass(frozen=True)
class Plan:
    """What a configuration would do.

    Attributes:
        stages: in order.
        classes: K of the source network.
        evaluations: images scored in all.
        forwards: images that pass through the network; ten times more with ten crops.
        seconds: estimated duration, from two generations measured here on one worker.
        archive_bytes: of one checkpoint's elites, uncompressed.
        store_bytes: of the store at its largest: all commits that are kept, if each had changed all elites.
        worker_bytes: memory of one worker: what this process needed for it.
        driver_bytes: memory of the driver for elites, mail and what came since the last commit.
        network_bytes: through the driver in an epoch, all islands together, before the islands know each
            other's boards; later it is a fraction of that.
        nodes: over which the workers are spread evenly; the driver is on one of them.
        node_bytes: memory of the fullest node: its workers and the driver.
        between_bytes: what of `network_bytes` goes from one node to another.
        epoch_seconds: duration of an epoch in which every worker does one island after the other.
    """

    stages: tuple[str, ...]
    classes: int
    runs: int
    islands: int
    workers: int
    generations: int
    evaluations: int
    forwards: int
    seconds: float
    archive_bytes: int
    store_bytes: int
    worker_bytes: int
    driver_bytes: int
    network_bytes: int
    nodes: int
    node_bytes: int
    between_bytes: int
    epoch_seconds: float


def plan(config: RunConfig, nodes: int = 1) -> Plan:
    """Measure one island of `config` for two generations, and say what the whole would take on `nodes`.

    Of runs side by side, each is measured, and the sum returned.
    """
    parts = [_plan(each, nodes) for each in variants_of(config).values() or [config]]
    sums = ("runs", "evaluations", "forwards", "seconds", "archive_bytes")
    stages = pipelines.get(config.pipeline).stages
    return replace(
        parts[0], stages=stages, **{key: sum(getattr(part, key) for part in parts) for key in sums}
    )


def _plan(config: RunConfig, nodes: int) -> Plan:
    require_fit(config)
    train_missing([config.network])
    facts, seconds, genome_bytes, result_bytes = _measure(config)
    classes = len(facts.classes)
    class_slices(classes, config.islands.count)
    evolve_config, count = config.island_budget, config.islands.count
    per_island = evolve_config.initial + evolve_config.children * evolve_config.generations
    evaluations = config.images_by(evolve_config.generations) * config.runs
    rounds = -(-count * config.runs // config.workers.count)
    row = 4 * classes + genome_bytes + 64
    archive = config.runs * classes * row
    commits = max(1.0, seconds * per_island * rounds / config.checkpoint.every_s)
    # The state at the last cut, what changed since, and the best claims of the epochs in the mail.
    driver = archive * (2 + config.islands.lag) + config.runs * count * 2 * result_bytes
    worker, network = peak_memory(), config.runs * count * result_bytes
    return Plan(
        stages=("evolve",),
        classes=classes,
        runs=config.runs,
        islands=count,
        workers=config.workers.count,
        generations=evolve_config.generations,
        evaluations=evaluations,
        forwards=evaluations * (10 if config.network.view == "ten-crop" else 1),
        seconds=seconds * per_island * rounds,
        archive_bytes=archive,
        store_bytes=int(archive * min(commits, config.checkpoint.keep or commits)),
        worker_bytes=worker,
        driver_bytes=driver,
        network_bytes=network,
        nodes=nodes,
        node_bytes=-(-config.workers.count // nodes) * worker + driver,
        between_bytes=network * (nodes - 1) // nodes,
        epoch_seconds=seconds * evolve_config.children * evolve_config.generations_per_epoch * rounds,
    )


def _measure(config: RunConfig) -> tuple[Any, float, int, int]:
    """Return the network's facts, seconds per evaluation of one worker, bytes per genome, and per result."""
    cost, evolve_config = config.encoding.images_per_seed, config.island_budget
    initial = max(1, evolve_config.children // cost) * cost
    small = config.model_copy(
        update={"evolve": evolve_config.model_copy(update={"generations_per_epoch": 1, "initial": initial})}
    )
    host = build_host(small)
    key = IslandKey(0, 0)
    host.load(key, None)
    # The first epoch of each kind compiles kernels.
    _, first = (host.step(key, epoch, Inbox()) for epoch in (0, 1))
    started = time.perf_counter()
    results = [host.step(key, epoch, Inbox()) for epoch in (2, 3)]
    seconds = (time.perf_counter() - started) / (2 * evolve_config.children)
    genomes = results[-1].outbox.migrants or first.delta.elites
    size = sum(array.nbytes for array in genomes.genomes.values()) // max(1, len(genomes))
    return host.facts, seconds, size, len(pickle.dumps(results[-1]))
