"""Small runs of the real thing: LeNet on digits, CPPN images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from islands.archipelago.driver import Archipelago, Progress
from islands.archipelago.executor import Executor, InProcessExecutor
from islands.archipelago.host import IslandHost, build_host
from islands.config import RunConfig
from islands.evolution.checkpoint import Checkpoint
from islands.evolution.elites import COLUMNS


def small_config(**sections: Any) -> RunConfig:
    """Return a run of a few seconds: 3 islands, 2 runs, 6 epochs of 2 generations of 10 children."""
    settings: dict[str, Any] = {
        "pipeline": "mnist_cppn",
        "store": "unused",
        "seed": 5,
        "runs": 2,
        "network": {"name": "lenet-mnist"},
        "encoding": {"name": "cppn"},
        "evolve": {"initial": 10, "children": 10, "generations": 12, "generations_per_epoch": 2},
        "islands": {"count": 3},
        "checkpoint": {"every_s": 1e9},
    }
    for name, section in sections.items():
        merged = {**settings[name], **section} if isinstance(settings.get(name), dict) else section
        settings[name] = merged
    return RunConfig.model_validate(settings)


def digest(checkpoint: Checkpoint) -> str:
    """Return a hash of every byte of all elites."""
    sha = hashlib.sha256(str(checkpoint.epoch).encode())
    for run in checkpoint.runs:
        for name in COLUMNS:
            sha.update(np.ascontiguousarray(getattr(run.elites, name)).tobytes())
        for name, array in sorted(run.elites.genomes.items()):
            sha.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


@dataclass
class Evolution:
    """What a run committed and reported."""

    complete: bool
    commits: list[Checkpoint] = field(default_factory=list)
    reports: list[Progress] = field(default_factory=list)

    @property
    def last(self) -> Checkpoint:
        """The last commit."""
        return self.commits[-1]


def evolve(
    config: RunConfig,
    executor: Executor,
    *,
    checkpoint: Checkpoint | None = None,
    on_report: Callable[[Archipelago, Progress], None] = lambda archipelago, progress: None,
) -> Evolution:
    """Run `config` on `executor` and close it."""
    evolution = Evolution(complete=False)

    def observe(progress: Progress) -> None:
        evolution.reports.append(progress)
        on_report(archipelago, progress)

    with closing(executor):
        archipelago = Archipelago(
            config,
            len(executor.facts.classes),
            executor,
            lambda checkpoint, complete: evolution.commits.append(checkpoint),
            observe,
        )
        if checkpoint is not None:
            archipelago.restore(checkpoint)
        evolution.complete = archipelago.run()
    return evolution


def in_process(config: RunConfig, workers: int = 1, host: IslandHost | None = None) -> Evolution:
    """Run `config` on threads of this process."""
    return evolve(config, InProcessExecutor(host or build_host(config), workers, threads=1))


@pytest.fixture(scope="session")
def undisturbed() -> Evolution:
    """The small run, as nothing disturbed it."""
    return in_process(small_config())


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local Ray with two CPUs for all tests that need it."""
    from islands.archipelago.ray_session import connect
    from islands.config import RayConfig, WorkersConfig

    connect(RayConfig(), WorkersConfig(count=2))
    import ray

    yield
    ray.shutdown()
