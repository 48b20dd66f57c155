"""Lines of progress for people, beside what runs report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_shown: ContextVar[Callable[[str], None] | None] = ContextVar("phases", default=None)


def say(text: str) -> None:
    """Print a line of progress to standard error."""
    print(text, file=sys.stderr, flush=True)


def begin(phase: str) -> None:
    """Tell whoever shows the progress what is done now, such as "loading lenet-mnist"."""
    show = _shown.get()
    if show is not None:
        show(phase)


@contextmanager
def showing_phases(show: Callable[[str], None]) -> Iterator[None]:
    """Let `show` hear of the phases that begin meanwhile, in this thread."""
    token = _shown.set(show)
    try:
        yield
    finally:
        _shown.reset(token)
