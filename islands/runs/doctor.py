"""Examines a configuration before a run: what `islands doctor` calls."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from islands.archipelago.ray_session import connect
from islands.classifiers.registry import resolve_device
from islands.config import RunConfig, ScorersConfig, WorkConfig, WorkersConfig
from islands.encodings.factory import build_encoding
from islands.errors import ConfigError, InputError, WorkersLostError
from islands.memory import peak_memory
from islands.runs.diagnosis import Diagnosis, diagnose_drawing, diagnose_held_out, diagnose_source
from islands.runs.plan import genomes_of
from islands.runs.sizes import EPOCHS_BETWEEN, SizeBasis, driver_bytes, guessed, store_bytes
from islands.store.creation import require_free
from islands.store.location import Location


class _Networks(NamedTuple):
    """What was found of the networks, what genomes are, and the memory of a worker in bytes."""

    diagnoses: list[Diagnosis]
    genomes: SizeBasis
    worker_bytes: int


def examine(config: RunConfig) -> list[Diagnosis]:
    """Check the networks, then the machine; writes nothing, and may fetch known pictures."""
    networks = _networks(config)
    return [*networks.diagnoses, *_machine(config, networks.genomes, networks.worker_bytes)]


def _networks(config: RunConfig) -> _Networks:
    """Look at the networks where a worker would: with a GPU of its own if it reserves one."""
    if config.workers.executor != "ray" or not config.workers.gpus or config.ray.is_job_server:
        return _look(config)
    from islands.archipelago.ray_executor import on_a_worker

    try:
        with _connected(config):
            return on_a_worker(config, _look)
    except (InputError, WorkersLostError) as error:
        return _Networks([Diagnosis("device", "failed", str(error))], guessed(config), peak_memory())


def _look(config: WorkConfig) -> _Networks:
    torch.set_num_threads(config.workers.threads)
    source, diagnoses = diagnose_source(config)
    worker_bytes = peak_memory()  # before held-out networks, which workers do not load
    genomes = guessed(config)
    if source is not None:
        size = config.encoding.size or source.input_size
        encoding = build_encoding(config.encoding, source.channels, size)
        genomes = genomes_of(encoding, source)
        diagnoses += [*diagnose_held_out(config, source), diagnose_drawing(encoding, source.device)]
    return _Networks([*diagnoses, _checked("device", lambda: _device(config))], genomes, worker_bytes)


def _device(config: WorkConfig) -> str:
    device = resolve_device(config.workers.device, has_gpu=config.workers_have_gpus)
    return f"{device} for {config.workers.count} workers"


def _machine(config: RunConfig, genomes: SizeBasis, worker_bytes: int) -> Iterator[Diagnosis]:
    if config.workers.executor == "ray":
        yield _checked("ray", lambda: _ray(config))
    yield _checked("store", lambda: _store(config))
    yield _disk(config, genomes)
    yield _memory(config, genomes, worker_bytes)


@contextmanager
def _connected(config: RunConfig) -> Iterator[None]:
    """Connect to Ray for the time of the block, or start it.

    Raises:
        ConfigError: nothing answers, or this machine lacks what is asked for.
    """
    import ray

    mine = connect(config.ray, config.workers, config.scorers if config.held_out else None)
    try:
        yield
    finally:
        if mine:
            ray.shutdown()


def _checked(subject: str, check: Callable[[], str]) -> Diagnosis:
    try:
        return Diagnosis(subject, "ok", check())
    except InputError as error:
        return Diagnosis(subject, "failed", str(error))


def _ray(config: RunConfig) -> str:
    import ray

    workers, scorers = config.workers, config.scorers if config.held_out else None
    with _connected(config):
        resources = ray.cluster_resources()
    offers = {name: resources.get(name, 0) for name in ("CPU", "GPU")}
    sections: list[WorkersConfig | ScorersConfig] = [workers, *([] if scorers is None else [scorers])]
    needs = {
        "CPU": sum(section.count * section.cpus for section in sections),
        "GPU": sum(section.count * section.gpus for section in sections),
    }
    text = f"Ray {ray.__version__} at {config.ray.address} offers {_amounts(offers)}"
    if all(needs[name] <= offers[name] for name in needs):
        return text
    actors = "workers" if scorers is None else "workers and scorers"
    if config.ray.address == "local":
        raise ConfigError(
            f"{text}; got {actors} that need {_amounts(needs)}: lower count, cpus or gpus of {actors}"
        )
    return f"{text}; {actors} need {_amounts(needs)}, and will wait up to {workers.wait_s:g} s for them"


def _amounts(resources: dict[str, float]) -> str:
    return " and ".join(f"{amount:g} {name}s" for name, amount in resources.items())


def _store(config: RunConfig) -> str:
    require_free(config.store)
    location = Location.of(config.store)
    if not location.is_local:
        return f"{location} is free, and its bucket can be reached"
    parent = _existing(location.path)
    if not os.access(parent, os.W_OK):
        raise InputError(f"store: {parent} cannot be written to; choose another folder")
    return f"{config.store} is free, and {parent} can be written to"


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.absolute().parent)


def _disk(config: RunConfig, genomes: SizeBasis) -> Diagnosis:
    location = Location.of(config.store)
    if not location.is_local:
        return Diagnosis("disk", "skipped", "the store is in a bucket")
    free = shutil.disk_usage(_existing(location.path)).free
    need = store_bytes(config, genomes, commits=config.evolve.epochs + 2)
    text = f"{free / 1e9:.1f} GB free, the store takes {need / 1e9:.1f} GB at most"
    if free < max(need, 1e9):
        return Diagnosis(
            "disk",
            "warning",
            f"got {text}; `islands plan` measures how much: lower checkpoint.keep, set checkpoint.ancestors"
            " to ids, or choose another store",
        )
    return Diagnosis("disk", "ok", text)


def _memory(config: RunConfig, genomes: SizeBasis, worker_bytes: int) -> Diagnosis:
    """Compare what is free with what this process needed for each worker's part, and for the driver."""
    processes = config.workers.count + 1 if config.workers.executor == "ray" else 1
    need = worker_bytes * processes + driver_bytes(config, genomes, EPOCHS_BETWEEN)
    if "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return Diagnosis(
            "memory",
            "skipped",
            f"workers and driver need about {need / 1e9:.1f} GB; what is free is not known",
        )
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    text = f"workers and driver need about {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
    if need > free:
        return Diagnosis("memory", "warning", f"{text}; lower workers.count or network.batch_size")
    return Diagnosis("memory", "ok", text)
