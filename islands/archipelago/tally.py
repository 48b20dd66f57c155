"""How the workers get on, as a commit tells it: no part of any result."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from islands.archipelago.executor import Finished, Lost
from islands.archipelago.messages import IslandKey
from islands.evolution.checkpoint import WorkerHealth


@dataclass
class _Worker:
    islands: set[IslandKey] = field(default_factory=set)
    images: int = 0
    lost_epochs: int = 0
    restarts: int = 0
    heard: datetime | None = None


class Tally:
    """Counts what each worker does; rates are of the time since the last `take`.

    Args:
        now: seconds on the monotonic clock.
    """

    def __init__(self, now: float) -> None:
        self._since = now
        self._workers: dict[int, _Worker] = {}

    def note(self, outcome: Finished | Lost) -> None:
        """Take note of an epoch that was done or lost."""
        worker = self._workers.setdefault(outcome.worker, _Worker())
        if isinstance(outcome, Lost):
            worker.lost_epochs += 1
            worker.restarts += outcome.restarted
            return
        for other in self._workers.values():
            other.islands.discard(outcome.key)
        worker.islands.add(outcome.key)
        worker.images += outcome.result.delta.evaluations
        worker.heard = datetime.now(UTC)

    def take(self, now: float) -> tuple[WorkerHealth, ...]:
        """Return how each worker got on, and begin to count images anew."""
        seconds = max(now - self._since, 1e-9)
        self._since = now
        found = []
        for number, worker in sorted(self._workers.items()):
            rate, worker.images = worker.images / seconds, 0
            heard = None if worker.heard is None else worker.heard.isoformat(timespec="seconds")
            islands = tuple((key.run, key.island) for key in sorted(worker.islands))
            found.append(
                WorkerHealth(number, islands, round(rate, 2), worker.lost_epochs, worker.restarts, heard)
            )
        return tuple(found)
