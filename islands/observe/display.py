"""Shows how a run gets on: on stderr, so that stdout holds results only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING

from islands.observe import PROGRESS
from islands.texts import level, percent

if TYPE_CHECKING:
    from islands.archipelago.progress import Observe, Progress

PLAIN_INTERVAL_S = 5.0
"""Seconds between two plain lines, at least."""


class Style(StrEnum):
    """How progress is shown."""

    RICH = "rich"
    PLAIN = "plain"
    NONE = "none"


@contextmanager
def observer(style: Style | None) -> Iterator[Observe]:
    """Give a function to call with the progress; None chooses rich on a terminal, else plain."""
    match style or (Style.RICH if sys.stderr.isatty() else Style.PLAIN):
        case Style.RICH:
            with _rich() as observe:
                yield observe
        case Style.PLAIN:
            yield _Plain()
        case Style.NONE:
            yield _ignore


@contextmanager
def watching(progress: bool | None, observe: Observe | None) -> Iterator[Observe]:
    """Give Python's callers a function that shows the progress, and tells `observe` of it.

    Args:
        progress: whether to show it; None: in terminals and notebooks alone.
        observe: who else is told.
    """
    with observer(_style(progress)) as show:

        def tell(found: Progress) -> None:
            show(found)
            if observe is not None:
                observe(found)

        yield tell


def _style(progress: bool | None) -> Style | None:
    """Return how to show it, see `watching`; None as of `observer`."""
    in_notebook = "ipykernel" in sys.modules
    if not (in_notebook or sys.stderr.isatty() if progress is None else progress):
        return Style.NONE
    # Rich draws with the notebook's widgets, and nothing where they are not installed.
    return Style.RICH if in_notebook and find_spec("ipywidgets") else None


def _describe(progress: Progress) -> tuple[str, ...]:
    import numpy as np

    cells = progress.confidence
    at = [f"{(cells >= np.float32(least)).sum():,} at {level(least)}" for least in (0.9, 0.99)]
    return (
        # Before generation 0 is judged on all islands, most cells are not known.
        *([f"median {percent(float(np.median(cells)))}, {', '.join(at)}"] if progress.epoch >= 0 else ()),
        f"{progress.evaluations_per_second:,.0f} images/s, next commit in {progress.next_checkpoint_s:.0f} s",
        *([f"{progress.not_finite:,} images skipped: no finite scores"] if progress.not_finite else ()),
        *([f"{progress.losses} epochs repeated"] if progress.losses else ()),
        *([f"the commit failed {n} times and is tried again"] if (n := progress.commit_failures) else ()),
        *([f"{progress.unscored:,} to score on held-out networks"] if progress.unscored else ()),
    )


def _ignore(progress: Progress) -> None:
    """Show nothing."""


class _Plain:
    """A line for an epoch at most every few seconds, and one for the last."""

    def __init__(self) -> None:
        self._last = float("-inf")
        self._epoch = -2

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        is_due = progress.epoch == progress.epochs or now - self._last >= PLAIN_INTERVAL_S
        if is_due and progress.epoch != self._epoch:
            self._last, self._epoch = now, progress.epoch
            done = f"{max(progress.epoch, 0)}/{progress.epochs}, generation {max(progress.generation, 0)}"
            line = f"{done}, {progress.evaluations:,} images: {', '.join(_describe(progress))}"
            print(f"{PROGRESS}{line}", file=sys.stderr, flush=True)


@contextmanager
def _rich() -> Iterator[Observe]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(8), TimeRemainingColumn())
    with Bar(*columns, TextColumn("{task.description}"), console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)

        def observe(progress: Progress) -> None:
            bar.update(
                task,
                completed=max(progress.epoch, 0),
                total=progress.epochs,
                description=",\n".join(_describe(progress)),
            )

        yield observe
