"""What runs the islands: one interface, in this process or on Ray."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple, Protocol

import torch

from islands.archipelago.host import IslandHost
from islands.archipelago.messages import Inbox, IslandKey, IslandState, NetworkFacts, StepResult


class Finished(NamedTuple):
    """An epoch that was done, and the number of the worker that did it."""

    key: IslandKey
    result: StepResult
    worker: int = 0


class Lost(NamedTuple):
    """An epoch that was not done because its worker went away; submit it again.

    Attributes:
        key: the island.
        reason: what the worker's end looked like.
        worker: its number.
        restarted: whether a new process takes its place because of this; of several lost epochs the first.
    """

    key: IslandKey
    reason: str
    worker: int = 0
    restarted: bool = False


StateSource = Callable[[], IslandState | None]
"""Gives the state of an island as the driver knows it; None before generation 0."""


class Executor(Protocol):
    """Runs epochs of islands; the driver decides which and when."""

    @property
    def facts(self) -> NetworkFacts:
        """What the driver needs to know of network and images."""
        ...

    def submit(self, key: IslandKey, epoch: int, inbox: Inbox, state: StateSource) -> None:
        """Start one epoch. `state` is asked for only if no worker holds the island at the epoch before."""
        ...

    def wait(self, timeout: float) -> list[Finished | Lost]:
        """Return what has ended, after at most `timeout` seconds.

        Raises:
            IslandFailedError: an exception escaped from an island.
            WorkersLostError: more workers crashed than the configuration allows.
        """
        ...

    def close(self) -> None:
        """Free workers and threads; epochs that still run are abandoned."""
        ...


class InProcessExecutor:
    """Runs islands on threads of this process, one epoch of an island at a time.

    `torch.set_num_threads` holds per thread, so islands on different threads do not fight for cores.
    """

    def __init__(self, host: IslandHost, workers: int, threads: int) -> None:
        self._host = host
        self._pool = ThreadPoolExecutor(
            workers, thread_name_prefix="island", initializer=torch.set_num_threads, initargs=(threads,)
        )
        self._loaded: set[IslandKey] = set()
        self._running: dict[Future[StepResult], IslandKey] = {}

    @property
    def facts(self) -> NetworkFacts:
        """See `IslandHost.facts`."""
        return self._host.facts

    def submit(self, key: IslandKey, epoch: int, inbox: Inbox, state: StateSource) -> None:
        """Start one epoch; see `Executor.submit`."""
        if key not in self._loaded:
            self._host.load(key, state())
            self._loaded.add(key)
        self._running[self._pool.submit(self._host.step, key, epoch, inbox)] = key

    def wait(self, timeout: float) -> list[Finished | Lost]:
        """Return what has ended; see `Executor.wait`."""
        done, _ = wait(self._running, timeout, return_when=FIRST_COMPLETED)
        return [Finished(self._running.pop(future), future.result()) for future in done]

    def close(self) -> None:
        """Wait for the epochs that still run and drop them."""
        self._pool.shutdown(wait=True, cancel_futures=True)
