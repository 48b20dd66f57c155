"""Examines a configuration before a run: what `islands doctor` calls."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from islands.archipelago.ray_session import connect
from islands.classifiers.registry import resolve_device
from islands.config import RunConfig, ScorersConfig, WorkersConfig
from islands.encodings.factory import build_encoding
from islands.errors import ConfigError, InputError
from islands.memory import peak_memory
from islands.runs.diagnosis import Diagnosis, diagnose_drawing, diagnose_held_out, diagnose_source
from islands.runs.plan import genomes_of
from islands.runs.sizes import EPOCHS_BETWEEN, SizeBasis, driver_bytes, guessed, store_bytes
from islands.store.location import Location
from islands.store.writer import require_free


def examine(config: RunConfig) -> list[Diagnosis]:
    """Check the networks, then the machine; writes nothing, and may fetch known pictures."""
    torch.set_num_threads(config.workers.threads)
    source, diagnoses = diagnose_source(config)
    worker_bytes = peak_memory()  # before held-out networks, which workers do not load
    genomes = guessed(config)
    if source is not None:
        size = config.encoding.size or source.input_size
        encoding = build_encoding(config.encoding, source.channels, size)
        genomes = genomes_of(encoding, source)
        diagnoses += [*diagnose_held_out(config, source), diagnose_drawing(encoding, source.device)]
    return [*diagnoses, *_machine(config, genomes, worker_bytes)]


def _machine(config: RunConfig, genomes: SizeBasis, worker_bytes: int) -> Iterator[Diagnosis]:
    yield _checked(
        "device", lambda: f"{resolve_device(config.workers.device)} for {config.workers.count} workers"
    )
    if config.workers.executor == "ray":
        yield _checked("ray", lambda: _ray(config))
    yield _checked("store", lambda: _store(config))
    yield _disk(config, genomes)
    yield _memory(config, genomes, worker_bytes)


def _checked(subject: str, check: Callable[[], str]) -> Diagnosis:
    try:
        return Diagnosis(subject, "ok", check())
    except InputError as error:
        return Diagnosis(subject, "failed", str(error))


def _ray(config: RunConfig) -> str:
    import ray

    workers, scorers = config.workers, config.scorers if config.held_out else None
    mine = connect(config.ray, workers, scorers)
    try:
        resources = ray.cluster_resources()
    finally:
        if mine:
            ray.shutdown()
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
