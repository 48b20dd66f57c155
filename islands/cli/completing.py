"""What shells complete; it must be quick, so nothing here imports torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import typer

from islands.errors import IslandsError

_PLAIN = re.compile(r"([^\w@%+=:,./-])")


def classes(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a class of the store that stands before it, in whatever case."""
    from islands.store.reader import StoreReader

    # An option that still lacks its value keeps click from giving arguments their names.
    store = context.params.get("store") or next(iter(context.args), None)
    try:
        names = StoreReader(store).classes if store else ()
    except (IslandsError, OSError):
        return []  # the command will say what is wrong with it
    return [_as_word(name) for name in names if name.startswith(incomplete)]


def networks(incomplete: str) -> list[str]:
    """Complete the name of a network, or the beginning of the names of a family."""
    from islands.classifiers.catalogue import NETWORKS

    return [name for name in NETWORKS if name.startswith(incomplete)]


def settings(incomplete: str) -> list[str]:
    """Complete the key of `--set KEY=VALUE`."""
    from islands.config.described import described, known_keys

    return [f"{key}=" for key in known_keys(described(None)) if key.startswith(incomplete)]


def presets(incomplete: str) -> Iterator[tuple[str, str]]:
    """Complete the name of a common question, and say what it asks."""
    from islands.store.query import PRESETS

    return ((name, text) for name, (text, _) in PRESETS.items() if name.startswith(incomplete))


def figures(incomplete: str) -> Iterator[tuple[str, str]]:
    """Complete the name of a figure, and say what it shows."""
    from islands.reports.figures import FIGURES

    return ((name, kind.summary) for name, kind in FIGURES.items() if name.startswith(incomplete))


def _as_word(text: str) -> str:
    """Return a text as the shell takes it for one word; bash puts on the line what it gets."""
    in_bash = os.environ.get("_ISLANDS_COMPLETE") == "complete_bash"
    return _PLAIN.sub(r"\\\1", text) if in_bash else text
