"""Lines of progress for people, beside what runs report."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print a line of progress to standard error."""
    print(text, file=sys.stderr, flush=True)
