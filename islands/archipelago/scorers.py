"""What runs the scorers: one interface, in this process or on Ray."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple, Protocol

import torch

from islands.archipelago.messages import NetworkFacts
from islands.archipelago.scorer import Scorer, ScoreTask
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
            IslandsError: a network failed, or scorers failed more often than `workers.max_failures` allows.
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
