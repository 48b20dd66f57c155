"""Small runs of the real thing: LeNet on digits, CPPN images."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from islands.archipelago.driver import Archipelago
from islands.archipelago.executor import Executor, InProcessExecutor
from islands.archipelago.host import IslandHost, build_host
from islands.archipelago.progress import Progress
from islands.archipelago.scorers import Scorers
from islands.archipelago.scoring import Scoring
from islands.classifiers.contract import Classifier, Prediction
from islands.config import RunConfig, WorkConfig
from islands.encodings.contract import Encoding
from islands.evolution.checkpoint import Checkpoint
from islands.evolution.elites import COLUMNS
from islands.evolution.scores import HeldOutScores


def small_config(**sections: Any) -> WorkConfig:
    """Return a run of a few seconds: 3 islands, 2 runs, 6 epochs of 2 generations of 10 children."""
    settings: dict[str, Any] = {
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
    return WorkConfig.model_validate(settings)


def stored_config(store: Path | str, **sections: Any) -> RunConfig:
    """Return the same run with a store."""
    work = small_config(**sections).model_dump(mode="json")
    return RunConfig.model_validate({**work, "pipeline": "mnist_cppn", "store": str(store)})


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
    scores: list[tuple[HeldOutScores, ...]] = field(default_factory=list)

    @property
    def last(self) -> Checkpoint:
        """The last commit."""
        return self.commits[-1]


def evolve(
    config: WorkConfig,
    executor: Executor,
    *,
    checkpoint: Checkpoint | None = None,
    on_report: Callable[[Archipelago, Progress], None] = lambda archipelago, progress: None,
    scorers: Scorers | None = None,
    on_commit: Callable[[Checkpoint, bool], None] = lambda checkpoint, complete: None,
) -> Evolution:
    """Run `config` on `executor` and close it; scores of held-out networks are noted as committed."""
    evolution = Evolution(complete=False)

    def observe(progress: Progress) -> None:
        evolution.reports.append(progress)
        on_report(archipelago, progress)

    def commit(checkpoint: Checkpoint, complete: bool) -> None:
        evolution.commits.append(checkpoint)
        evolution.scores.append(checkpoint.scores)
        on_commit(checkpoint, complete)

    with ExitStack() as stack:
        stack.enter_context(closing(executor))
        class_count = len(executor.facts.classes)
        scoring = None
        if scorers is not None:
            stack.enter_context(closing(scorers))
            scoring = Scoring(config.held_out, scorers, config.runs, class_count)
        archipelago = Archipelago(
            config, class_count, executor, commit, observe, scoring, evolution.scores.append
        )
        if checkpoint is not None:
            archipelago.restore(checkpoint)
        evolution.complete = archipelago.evolve()
    return evolution


class Recorder:
    """A classifier that notes the best confidence it ever gave to each class, or fails when told."""

    def __init__(self, classifier: Classifier, fail_at: int | None = None) -> None:
        self._classifier = classifier
        self._calls = 0
        self._fail_at = fail_at
        self._lock = threading.Lock()
        self.best = torch.zeros(len(classifier.classes))

    def __getattr__(self, name: str) -> object:
        return getattr(self._classifier, name)

    def predict(self, images: Tensor) -> Prediction:
        with self._lock:
            self._calls += 1
            if self._calls == self._fail_at:
                raise ZeroDivisionError("made to fail")
        prediction = self._classifier.predict(images)
        with self._lock:
            self.best = torch.maximum(self.best, prediction.probabilities.amax(0))
        return prediction


def recording_host(config: WorkConfig, fail_at: int | None = None) -> tuple[IslandHost, Recorder]:
    encoding, classifier = parts(config)
    recorder = Recorder(classifier, fail_at)
    return IslandHost(config.evolution, encoding, recorder), recorder  # type: ignore[arg-type]


def parts(config: WorkConfig) -> tuple[Encoding, Classifier]:
    host = build_host(config)
    return host._encoding, host._classifier


def in_process(config: WorkConfig, workers: int = 1, host: IslandHost | None = None) -> Evolution:
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
