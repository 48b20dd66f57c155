"""Shows how a run gets on: on stderr, so that stdout holds results only."""

from __future__ import annotations

import html
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from islands.observe import PROGRESS
from islands.observe.lines import say, showing_phases
from islands.texts import level, percent

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from islands.archipelago.progress import Observe, Progress

PLAIN_INTERVAL_S = 5.0
"""Seconds between two plain lines, at least."""

_SURE = 0.9
"""The confidence from which on classes are counted."""


class Style(StrEnum):
    """How progress is shown."""

    RICH = "rich"
    PLAIN = "plain"
    NONE = "none"


@contextmanager
def observer(style: Style | None) -> Iterator[Observe]:
    """Give a function to call with the progress; None chooses rich on a terminal, else plain.

    What runs say of their phases is shown as well, see `lines.begin`.
    """
    match style or (Style.RICH if _can_redraw() else Style.PLAIN):
        case Style.RICH:
            with _bar() as bar, showing_phases(bar.begin):
                yield bar
        case Style.PLAIN:
            with showing_phases(say):
                yield _Plain()
        case Style.NONE:
            yield _ignore


def _can_redraw() -> bool:
    """Tell whether stderr is a terminal on which lines can be drawn anew."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


@contextmanager
def watching(progress: bool | None, observe: Observe | None) -> Iterator[Observe]:
    """Give Python's callers a function that shows the progress, and tells `observe` of it.

    Args:
        progress: whether to show it; None: in terminals and notebooks alone.
        observe: who else is told.
    """
    with _notebook() if _is_for_notebook(progress) else observer(_style(progress)) as show:

        def tell(found: Progress) -> None:
            show(found)
            if observe is not None:
                observe(found)

        yield tell


def _style(progress: bool | None) -> Style | None:
    """Return how to show it, see `watching`; None as of `observer`."""
    return None if (sys.stderr.isatty() if progress is None else progress) else Style.NONE


def _is_for_notebook(progress: bool | None) -> bool:
    # That a kernel's package is imported says nothing: debuggers and tests import it, too.
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return progress is not False and getattr(shell, "kernel", None) is not None


def _describe(progress: Progress) -> tuple[str, ...]:
    """Return where a run stands, but for generations, in words."""
    import numpy as np

    best = progress.confidence
    sure = int((best >= np.float32(_SURE)).sum())
    of_runs = f" in {len(best)} runs" if len(best) > 1 else ""
    return (
        # Before generation 0 is judged on all islands, most classes are not known.
        *(
            (
                f"median {percent(float(np.median(best)))}",
                f"{sure:,} of {best.size:,} classes{of_runs} at {level(_SURE)}",
            )
            if progress.epoch >= 0
            else ()
        ),
        f"{progress.evaluations_per_second:,.0f} images/s",
        f"commit in {progress.next_checkpoint_s:.0f} s",
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


class _Shown:
    """A bar that fills the width: the phase, or the generation and the times; below it the numbers."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        bar.add_task("starting", total=None, numbers="")
        (self._task,) = bar.tasks

    def begin(self, phase: str) -> None:
        """Show what is done now, and for how long already."""
        self._task.total = None
        self._bar.update(self._task.id, description=phase, numbers="", refresh=True)

    def __call__(self, progress: Progress) -> None:
        done, total = max(progress.generation, 0), progress.generations
        if self._task.total != total:
            self._task.completed = done  # what was there before says nothing of the speed
        self._bar.update(
            self._task.id,
            total=total,
            completed=done,
            description=f"generation {done:,} of {total:,}",
            numbers=", ".join(_describe(progress)),
        )


@contextmanager
def _notebook() -> Iterator[Observe]:
    """Give a function that shows the progress in the cell of a notebook that runs; needs no widgets."""
    from IPython.display import HTML, display

    shown = display(HTML(), display_id=True)

    def begin(phase: str) -> None:
        shown.update(HTML(f"<progress></progress> {html.escape(phase)}"))

    def observe(progress: Progress) -> None:
        done, total = max(progress.generation, 0), progress.generations
        bar = f'<progress value="{done}" max="{total}" style="width:100%"></progress>'
        text = f"generation {done:,} of {total:,}, {', '.join(_describe(progress))}"
        shown.update(HTML(f"{bar}<br>{html.escape(text)}"))

    with showing_phases(begin):
        yield observe


@contextmanager
def _bar() -> Iterator[_Shown]:
    from rich.console import Console, RenderableType
    from rich.progress import BarColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.table import Column
    from rich.text import Text

    class Left(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            return Text() if task.total is None else super().render(task) + Text(" left")

    class WithNumbers(Bar):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            yield from (Text(task.fields["numbers"]) for task in self.tasks if task.fields["numbers"])

    with WithNumbers(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        TimeElapsedColumn(),
        TextColumn("elapsed"),
        Left(),
        console=Console(stderr=True),
        expand=True,
        refresh_per_second=2,  # each costs milliseconds, which the driver has better uses for
        speed_estimate_period=600,  # epochs may be minutes long
    ) as bar:
        yield _Shown(bar)
