"""How the workers got on, in words: for terminals and for the live page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from islands.evolution.checkpoint import WorkerHealth
from islands.texts import duration


class Told(NamedTuple):
    """A worker in words: its number, its islands, its rate, what was lost, and when its last epoch ended."""

    worker: str
    islands: str
    rate: str
    lost: str
    last: str


def tell(workers: Sequence[WorkerHealth], now: datetime) -> list[Told]:
    """Return each worker in words, as it was at a checkpoint; its age is that of `now`.

    Example:
        >>> from datetime import UTC, datetime
        >>> worker = WorkerHealth(0, ((0, 1), (0, 3)), 51.25, 2, 1, "2026-05-01T12:00:00+00:00")
        >>> tell([worker], datetime(2026, 5, 1, 12, 0, 9, tzinfo=UTC))[0][1:]
        ('run 0: 1, 3', '51.2 images/s', '2 epochs lost, 1 restart', '9.0 seconds ago')
    """
    return [
        Told(
            str(each.worker),
            _islands(each.islands) or "none yet",
            f"{each.images_per_second:,.1f} images/s",
            _lost(each.lost_epochs, each.restarts),
            _last([each], now),
        )
        for each in workers
    ]


def in_short(workers: Sequence[WorkerHealth], now: datetime) -> str:
    """Return all workers in one sentence; empty: there are none."""
    if not workers:
        return ""
    rate = sum(each.images_per_second for each in workers)
    lost = _lost(sum(each.lost_epochs for each in workers), sum(each.restarts for each in workers))
    return (
        f"{_counted(len(workers), 'worker')}: {rate:,.1f} images/s, {lost}, last epoch {_last(workers, now)}"
    )


def _islands(keys: Sequence[tuple[int, int]]) -> str:
    runs: dict[int, list[str]] = {}
    for run, island in keys:
        runs.setdefault(run, []).append(str(island))
    return "; ".join(f"run {run}: {', '.join(islands)}" for run, islands in runs.items())


def _lost(epochs: int, restarts: int) -> str:
    if not epochs and not restarts:
        return "nothing lost"
    return f"{_counted(epochs, 'epoch')} lost, {_counted(restarts, 'restart')}"


def _last(workers: Sequence[WorkerHealth], now: datetime) -> str:
    times = [datetime.fromisoformat(each.heard) for each in workers if each.heard is not None]
    if not times:
        return "none yet"
    # A clock may be set back.
    return f"{duration(max(0.0, (now - max(times)).total_seconds()))} ago"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
