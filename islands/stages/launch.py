"""Starts and resumes runs: what `islands launch`, `resume` and `plan` call."""

from __future__ import annotations

import pickle
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import pipelines
from islands.archipelago.driver import Progress
from islands.archipelago.executor import Executor
from islands.archipelago.factory import build_executor, build_scorers
from islands.archipelago.host import build_host
from islands.archipelago.messages import Inbox, IslandKey, NetworkFacts
from islands.archipelago.scorers import Scorers
from islands.classifiers.catalogue import class_count
from islands.config import NetworkConfig, RunConfig
from islands.config.files import override_run_config, variants_of
from islands.errors import ConfigError, InputError, StoreExistsError
from islands.migration.slices import class_slices
from islands.observe.observers import observing
from islands.stages.evolve import Observe, evolve
from islands.stages.train import train_missing
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter, require_free

MAY_CHANGE = ("evolve.generations", "held_out", "workers", "scorers", "ray", "checkpoint", "loggers", "store")
"""What a resume may change: the budget, who else looks at the elites, and where and how the work is done."""


def ignore(progress: Progress) -> None:
    """Observe nothing."""


def launch(config: RunConfig, observe: Observe = ignore) -> StoreReader:
    """Make a store, evolve until the budget is spent or a signal comes, and return the store.

    Raises:
        InputError: the store exists, or configuration, network and machine do not fit; nothing was written.
        IslandsError: the run failed; the last commit stands.
    """
    _require_fit(config)
    require_free(config.store)
    train_missing([config.network, *config.held_out])
    with closing(build_executor(config)) as executor:
        return run_in_store(config, executor, observe)


def run_in_store(config: RunConfig, executor: Executor, observe: Observe) -> StoreReader:
    """Make the store, evolve on `executor`, and return the store; see `launch`."""
    facts = executor.facts
    class_slices(len(facts.classes), config.islands.count)
    with (
        scorers_for(config, facts) as scorers,
        StoreWriter.create(
            config.store,
            config,
            facts.classes,
            facts.fingerprint,
            channels=facts.channels,
            size=facts.size,
        ) as writer,
        observing(config, observe) as tell,
    ):
        evolve(config, writer, executor, tell, scorers)
    return StoreReader(config.store)


def resume(
    store: str, overrides: Sequence[str] = (), observe: Observe = ignore, *, break_lock: bool = False
) -> StoreReader:
    """Go on from the last commit of `store`, and return the store.

    Args:
        store: where it is.
        overrides: `key=value` on top of the stored configuration, of the keys in `MAY_CHANGE`.
        observe: called about once an epoch.
        break_lock: see `StoreWriter.open`.

    Raises:
        InputError: the store cannot be resumed so; nothing was written.
        IslandsError: the run failed; the last commit stands.
    """
    reader = StoreReader(store)
    stored = reader.config
    for text in overrides:
        key = text.partition("=")[0].strip()
        if not may_change(key):
            raise changes_meaning(key)
    config = override_run_config(stored, [*overrides, f"store={store}"])
    _require_same_meaning(stored, config)
    if _is_done(reader, config):
        raise InputError(
            f"{store} is complete at generation {stored.evolve.generations}; to go on, raise the budget: "
            f"islands resume {store} --set evolve.generations={2 * stored.evolve.generations}"
        )
    return _go_on(reader, config, observe, break_lock=break_lock)


def launch_or_resume(config: RunConfig, observe: Observe = ignore) -> StoreReader:
    """Launch, or go on with what is in the store; what is complete is returned as it is.

    Raises:
        InputError: as of `launch` and `resume`.
        IslandsError: the run failed; the last commit stands.
    """
    try:
        require_free(config.store)
    except StoreExistsError:
        reader = StoreReader(config.store)
    else:
        return launch(config, observe)
    _require_same_meaning(reader.config, config)
    return reader if _is_done(reader, config) else _go_on(reader, config, observe, break_lock=False)


def _is_done(reader: StoreReader, config: RunConfig) -> bool:
    spent = reader.complete and config.evolve.generations == reader.config.evolve.generations
    return spent and not lacks_scores(reader, config.held_out)


def _go_on(reader: StoreReader, config: RunConfig, observe: Observe, *, break_lock: bool) -> StoreReader:
    train_missing([config.network, *config.held_out])
    with (
        StoreWriter.open(config.store, break_lock=break_lock) as writer,
        closing(build_executor(config)) as executor,
        scorers_for(config, executor.facts) as scorers,
    ):
        _require_same_network(reader, executor)
        writer.set_config(config)
        with observing(config, observe) as tell:
            evolve(config, writer, executor, tell, scorers)
    return StoreReader(config.store)


@contextmanager
def scorers_for(config: RunConfig, source: NetworkFacts) -> Iterator[Scorers | None]:
    """Give the scorers of a configuration, and stop them in the end; see `build_scorers`."""
    scorers = build_scorers(config, source)
    try:
        yield scorers
    finally:
        if scorers is not None:
            scorers.close()


def lacks_scores(reader: StoreReader, held_out: Sequence[NetworkConfig]) -> bool:
    """Tell whether an elite of the checkpoint was not scored on one of the networks."""
    stored = {NetworkConfig.model_validate(scores.settings): scores.runs for scores in reader.intact_scores()}
    ids = [reader.elite_columns(run, "id")["id"] for run in range(reader.runs)]
    return any(
        network not in stored
        or any(not np.array_equal(scores.ids, own) for scores, own in zip(stored[network], ids, strict=True))
        for network in held_out
    )


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
    _require_fit(config)
    train_missing([config.network])
    facts, seconds, genome_bytes, result_bytes = _measure(config)
    classes = len(facts.classes)
    class_slices(classes, config.islands.count)
    evolve_config, count = config.evolve, config.islands.count
    per_island = evolve_config.initial + evolve_config.children * evolve_config.generations
    evaluations = per_island * count * config.runs
    rounds = -(-count * config.runs // config.workers.count)
    row = 4 * classes + genome_bytes + 64
    archive = config.runs * classes * row
    commits = max(1.0, seconds * per_island * rounds / config.checkpoint.every_s)
    # The state at the last cut, what changed since, and the best claims of the epochs in the mail.
    driver = archive * (2 + config.islands.lag) + config.runs * count * 2 * result_bytes
    worker, network = _peak_memory(), config.runs * count * result_bytes
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


def _require_fit(config: RunConfig) -> None:
    """Check against the catalogue what needs no worker."""
    if (count := class_count(config.network.name)) is not None:
        class_slices(count, config.islands.count)


def _measure(config: RunConfig) -> tuple[Any, float, int, int]:
    """Return the network's facts, seconds per evaluation of one worker, bytes per genome, and per result."""
    cost = config.encoding.images_per_seed
    initial = max(1, config.evolve.children // cost) * cost
    small = config.model_copy(
        update={"evolve": config.evolve.model_copy(update={"generations_per_epoch": 1, "initial": initial})}
    )
    host = build_host(small)
    key = IslandKey(0, 0)
    host.load(key, None)
    # The first epoch of each kind compiles kernels.
    _, first = (host.step(key, epoch, Inbox()) for epoch in (0, 1))
    started = time.perf_counter()
    results = [host.step(key, epoch, Inbox()) for epoch in (2, 3)]
    seconds = (time.perf_counter() - started) / (2 * config.evolve.children)
    genomes = results[-1].outbox.migrants or first.delta.elites
    size = sum(array.nbytes for array in genomes.genomes.values()) // max(1, len(genomes))
    return host.facts, seconds, size, len(pickle.dumps(results[-1]))


def _peak_memory() -> int:
    """Return the most that this process held, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _require_same_meaning(stored: RunConfig, config: RunConfig) -> None:
    for key in differences(stored.model_dump(mode="json"), config.model_dump(mode="json")):
        if not may_change(key):
            raise changes_meaning(key)
    if config.evolve.generations < stored.evolve.generations:
        raise ConfigError(
            f"evolve.generations: got {config.evolve.generations}, but the run was started with "
            f"{stored.evolve.generations}; expected at least that"
        )


def may_change(key: str, allowed: Sequence[str] = MAY_CHANGE) -> bool:
    """Tell whether a resume may change `key`, or something within it."""
    return any(f"{key}.".startswith(f"{each}.") or each.startswith(f"{key}.") for each in allowed)


def changes_meaning(key: str, allowed: Sequence[str] = MAY_CHANGE) -> ConfigError:
    """Return the error of a resume that changes `key`."""
    return ConfigError(
        f"{key}: another value would change what the results of this run mean; expected one of "
        f"{', '.join(each for each in allowed if each != 'store')}: launch a new run for anything else"
    )


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Return the keys whose values differ, in order."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            yield from differences(before.get(name), after.get(name), f"{path}.{name}".lstrip("."))
    elif before != after:
        yield path


def _require_same_network(reader: StoreReader, executor: Executor) -> None:
    stored, found = reader.attributes["fingerprint"], executor.facts.fingerprint
    if stored != found:
        raise ConfigError(
            f"network.name: {reader.config.network.name} has fingerprint {found[:12]} here, but the run was "
            f"started with {stored[:12]}; resume with the same weights and versions"
        )
