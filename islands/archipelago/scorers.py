"""What runs the scorers: one interface, in this process or on Ray."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple, Protocol

import torch

from islands.archipelago.messages import NetworkFacts
from islands.archipelago.scorer import Scorer, ScoreTask, build_scorer
from islands.config import RunConfig
from islands.errors import ConfigError
from islands.evolution.scores import Scores


class Scored(NamedTuple):
    """A task that has ended; without scores where its scorer went away."""

    task: ScoreTask
    scores: Scores | None


class Scorers(Protocol):
    """Works off tasks; what they are is decided by `Scoring`."""

    @property
    def facts(self) -> tuple[NetworkFacts, ...]:
        """The held-out networks, in the order of the configuration."""
        ...

    @property
    def free(self) -> int:
        """How many more tasks can be taken now."""
        ...

    def submit(self, task: ScoreTask) -> None:
        """Start a task."""
        ...

    def wait(self, timeout: float) -> list[Scored]:
        """Return what has ended, after at most `timeout` seconds.

        Raises:
            IslandsError: a network failed, or scorers died more often than `workers.max_failures` allows.
        """
        ...

    def close(self) -> None:
        """Free processes and threads without waiting for tasks under way."""
        ...


class InProcessScorers:
    """Scores on threads of this process."""

    def __init__(self, scorer: Scorer, count: int, threads: int) -> None:
        self.facts = scorer.facts
        self._scorer = scorer
        self._count = count
        self._pool = ThreadPoolExecutor(
            count, thread_name_prefix="scorer", initializer=torch.set_num_threads, initargs=(threads,)
        )
        self._running: dict[Future[Scores], ScoreTask] = {}

    @property
    def free(self) -> int:
        """See `Scorers.free`; a thread that ends finds its next task waiting."""
        return 2 * self._count - len(self._running)

    def submit(self, task: ScoreTask) -> None:
        """Start a task."""
        self._running[self._pool.submit(self._scorer.score, task)] = task

    def wait(self, timeout: float) -> list[Scored]:
        """Return what has ended; see `Scorers.wait`."""
        done, _ = wait(self._running, timeout, return_when=FIRST_COMPLETED)
        return [Scored(self._running.pop(future), future.result()) for future in done]

    def close(self) -> None:
        """Drop what has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def build_scorers(config: RunConfig, source: NetworkFacts) -> Scorers | None:
    """Start the scorers that a configuration asks for; None where there is no held-out network.

    Raises:
        InputError: a held-out network cannot be had, or cannot be compared with the source network.
    """
    if not config.held_out:
        return None
    scorers: Scorers
    if config.workers.executor == "in-process":
        scorer = build_scorer(config, source.channels, source.size)
        scorers = InProcessScorers(scorer, config.scorers.count, config.scorers.threads)
    else:
        from islands.archipelago.ray_scorers import RayScorers

        scorers = RayScorers(config, source.channels, source.size)
    try:
        _require_comparable(config, source, scorers.facts)
    except BaseException:
        scorers.close()
        raise
    return scorers


def _require_comparable(config: RunConfig, source: NetworkFacts, held_out: tuple[NetworkFacts, ...]) -> None:
    seen = {source.fingerprint: "the source network"}
    for place, (network, facts) in enumerate(zip(config.held_out, held_out, strict=True)):
        key = f"held_out.{place}"
        if same := seen.get(facts.fingerprint):
            raise ConfigError(
                f"{key}: got {network.label}, which is {same}; expected another one: what is measured is "
                "whether images fool networks that they were not evolved against"
            )
        seen[facts.fingerprint] = key
        for what, found, expected in (
            ("channels", facts.channels, source.channels),
            ("classes", len(facts.classes), len(source.classes)),
        ):
            if found != expected:
                raise ConfigError(
                    f"{key}: got {network.label} with {found} {what}; expected {expected}, as the source has"
                )
        if facts.classes != source.classes:
            pairs = enumerate(zip(facts.classes, source.classes, strict=True))
            first, (theirs, ours) = next((i, names) for i, names in pairs if names[0] != names[1])
            raise ConfigError(
                f"{key}: got {network.label}, whose class {first} is {theirs!r}; expected {ours!r}: source "
                "and held-out network must mean the same by each output"
            )
