"""Says what a run would take, before it is started: what `islands plan` calls."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from islands.archipelago.host import assemble, build_host, build_parts
from islands.archipelago.messages import Inbox, IslandKey
from islands.classifiers.apart import conditions
from islands.classifiers.contract import Classifier
from islands.classifiers.registry import resolve_device
from islands.config import WorkConfig
from islands.encodings.contract import Encoding
from islands.errors import ConfigError
from islands.evolution.elites import Arrays
from islands.memory import peak_memory
from islands.migration.slices import class_slices
from islands.runs.conditions import engine_of
from islands.runs.launch import require_fit
from islands.runs.sizes import EPOCHS_BETWEEN, SizeBasis, archive_bytes, driver_bytes, grown, store_bytes
from islands.training.digits import train_missing


@dataclass(frozen=True)
class Plan:
    """What a configuration would do.

    Attributes:
        stages: in order.
        classes: K of the source network.
        engine: what runs it here, and why.
        evaluations: images scored in all.
        forwards: images that pass through the network; ten times more with ten crops.
        unmeasured: why this machine cannot measure durations; None where it can.
        seconds: estimated duration, from two generations measured here on one worker, with what workers that
            share a GPU or CPUs leave of it; None where it cannot be measured.
        archive_bytes: of one checkpoint's elites, uncompressed.
        store_bytes: of the store at its largest, uncompressed: all commits on the disk, if each had changed
            all elites, and history, curves and ancestors at the end.
        worker_bytes: memory of one worker: what this process needed for one island, and the other islands; on
            a GPU that cannot be measured here, without what the forward passes take.
        driver_bytes: memory of the driver: its programs, elites, mail and what came since the last commit.
        network_bytes: through the driver in an epoch, all islands together, before the islands know each
            other's boards; later it is a fraction of that.
        nodes: over which the workers are spread evenly; the driver is on one of them.
        node_bytes: memory of the fullest node: its workers and the driver.
        between_bytes: what of `network_bytes` goes from one node to another.
        epoch_seconds: duration of an epoch in which every worker does one island after the other; None where
            it cannot be measured.
    """

    stages: tuple[str, ...]
    classes: int
    engine: str
    runs: int
    islands: int
    workers: int
    generations: int
    evaluations: int
    forwards: int
    unmeasured: str | None
    seconds: float | None
    archive_bytes: int
    store_bytes: int
    worker_bytes: int
    driver_bytes: int
    network_bytes: int
    nodes: int
    node_bytes: int
    between_bytes: int
    epoch_seconds: float | None


def plan(
    configs: Sequence[WorkConfig],
    stages: Sequence[str],
    nodes: int = 1,
    classifier: Classifier | None = None,
) -> Plan:
    """Measure one island of each run for two generations, and say what the whole would take.

    Args:
        configs: of the runs side by side, one or more; what they take is summed.
        stages: of the experiment that they are, in order.
        nodes: over which the workers are spread.
        classifier: that this process alone has, in place of the networks that are named.
    """
    parts = [_plan(config, nodes, classifier) for config in configs]
    sums = ("runs", "evaluations", "forwards", "archive_bytes", "store_bytes")
    largest = ("worker_bytes", "driver_bytes", "network_bytes", "node_bytes", "between_bytes")
    seconds = [part.seconds for part in parts if part.seconds is not None]
    return replace(
        parts[0],
        stages=tuple(stages),
        seconds=sum(seconds) if len(seconds) == len(parts) else None,
        **{key: sum(getattr(part, key) for part in parts) for key in sums},
        **{key: max(getattr(part, key) for part in parts) for key in largest},
    )


def _plan(config: WorkConfig, nodes: int, classifier: Classifier | None) -> Plan:
    if classifier is None:
        require_fit(config)
    train_missing([config.network])
    measured = _measure(config, classifier)
    classes = measured.genomes.classes
    class_slices(classes, config.islands.count)
    evolve_config, count = config.evolution.island_budget, config.islands.count
    per_island = evolve_config.initial + evolve_config.children * evolve_config.generations
    evaluations = config.evolution.images_by(evolve_config.generations) * config.runs
    rounds = -(-count * config.runs // config.workers.count)
    archive = archive_bytes(config, measured.genomes)
    seconds = epoch_seconds = None
    epochs_between, commits = min(EPOCHS_BETWEEN, evolve_config.epochs + 1), evolve_config.epochs + 2
    if measured.seconds is not None:
        each = measured.seconds * _sharing(config, nodes)
        seconds = each * per_island * rounds
        epoch_seconds = each * evolve_config.children * evolve_config.generations_per_epoch * rounds
        # Machines may be half as fast, or twice, as this one was while it measured.
        every = config.checkpoint.every_s
        epochs_between = min(evolve_config.epochs + 1, 2 + int(2 * every / epoch_seconds))
        commits = min(commits, 3 + int(2 * seconds / every))
    slice_bytes = archive // (count * config.runs)
    genome = grown(config, measured.genomes)
    children = evolve_config.children * evolve_config.generations_per_epoch * genome
    worker = measured.peak + 3 * rounds * slice_bytes + children
    network = config.runs * count * measured.result_bytes
    # The driver loads what a worker loads, but for the network.
    driver = measured.peak + driver_bytes(config, measured.genomes, epochs_between)
    return Plan(
        stages=("evolve",),
        classes=classes,
        engine=measured.engine,
        runs=config.runs,
        islands=count,
        workers=config.workers.count,
        generations=evolve_config.generations,
        evaluations=evaluations,
        forwards=evaluations * (10 if config.network.view == "ten-crop" else 1),
        unmeasured=measured.reason,
        seconds=seconds,
        archive_bytes=archive,
        store_bytes=store_bytes(config, measured.genomes, commits),
        worker_bytes=worker,
        driver_bytes=driver,
        network_bytes=network,
        nodes=nodes,
        node_bytes=-(-config.workers.count // nodes) * worker + driver,
        between_bytes=network * (nodes - 1) // nodes,
        epoch_seconds=epoch_seconds,
    )


@dataclass(frozen=True)
class _Measured:
    """What one island shows of a run.

    Attributes:
        genomes: what sizes follow from.
        engine: what runs the network, and why.
        result_bytes: of what an island returns of an epoch.
        peak: the most bytes of this process.
        seconds: per evaluation, of one worker alone; None where it cannot be measured.
        reason: why not.
    """

    genomes: SizeBasis
    engine: str
    result_bytes: int
    peak: int
    seconds: float | None = None
    reason: str | None = None


def _measure(config: WorkConfig, classifier: Classifier | None) -> _Measured:
    try:
        resolve_device(config.workers.device, has_gpu=config.workers_have_gpus)
    except ConfigError as error:
        return _looked_at(config, str(error))
    cost = config.encoding.images_per_seed
    budget = config.evolution.island_budget
    initial = max(1, budget.children // cost) * cost
    small = config.model_copy(
        update={"evolve": budget.model_copy(update={"generations_per_epoch": 1, "initial": initial})}
    )
    host = build_host(small) if classifier is None else assemble(small, classifier)
    key = IslandKey(0, 0)
    host.load(key, None)
    # The first epoch of each kind compiles kernels.
    first, second = (host.step(key, epoch, Inbox()) for epoch in (0, 1))
    started = time.perf_counter()
    results = [second, *(host.step(key, epoch, Inbox()) for epoch in (2, 3))]
    seconds = (time.perf_counter() - started) / (2 * budget.children)
    classes = len(host.facts.classes)
    taken = max(len(result.delta.history["id"]) for result in results) / len(first.delta.confidence)
    elites = first.delta.elites
    return _Measured(
        genomes=SizeBasis(classes, _bytes_each(elites.genomes), taken),
        engine=engine_of(host.facts.conditions),
        result_bytes=max(len(pickle.dumps(result)) for result in results),
        peak=peak_memory(),
        seconds=seconds,
    )


def _looked_at(config: WorkConfig, reason: str) -> _Measured:
    """Return what can be known where the device is not: what network and genomes are, not how fast."""
    workers = config.workers.model_copy(update={"device": "cpu"})
    encoding, classifier = build_parts(config.model_copy(update={"workers": workers}))
    found = genomes_of(encoding, classifier)
    # Each cell is taken, or claimed where it is another island's.
    cells = found.classes * config.evolution.layout.per_class
    result = cells * (4 * found.classes + 2 * found.genome_bytes + 200)
    engine = engine_of(conditions(classifier))
    return _Measured(found, engine, result, peak_memory(), reason=reason.partition(";")[0])


def genomes_of(encoding: Encoding, classifier: Classifier) -> SizeBasis:
    """Return what sizes follow from, without evolving anything."""
    genomes = encoding.random(8, torch.Generator(classifier.device).manual_seed(0))
    return SizeBasis(len(classifier.classes), _bytes_each(encoding.to_arrays(genomes)))


def _bytes_each(genomes: Arrays) -> int:
    count = len(next(iter(genomes.values())))
    return -(-sum(array.nbytes for array in genomes.values()) // max(1, count))


def _sharing(config: WorkConfig, nodes: int) -> float:
    """Return by how much a worker is slower than alone: workers share a GPU, or the CPUs of a node."""
    workers = config.workers
    per_node = min(workers.count, workers.per_node or -(-workers.count // nodes))
    if resolve_device(workers.device, has_gpu=config.workers_have_gpus).type == "cpu":
        return max(1.0, per_node * workers.threads / (os.cpu_count() or 1))
    return max(1, min(per_node, int(1 / workers.gpus))) if workers.gpus else per_node
