"""How fast a run gets on, and what a commit changed, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from islands.store.checkpoints import CheckpointInfo
from islands.store.reader import StoreReader
from islands.texts import duration, percent

_RECENT = 5


def pace(checkpoints: Sequence[CheckpointInfo], images: int) -> str:
    """Return the rate over the last commits, and how long the rest takes at that; empty: not known yet.

    Args:
        checkpoints: the oldest first.
        images: of the whole budget, all runs together.
    """
    recent = checkpoints[-_RECENT:]
    if len(recent) < 2:
        return ""
    seconds = (recent[-1].written_at - recent[0].written_at).total_seconds()
    scored = recent[-1].evaluations - recent[0].evaluations
    if seconds <= 0 or scored <= 0:
        return ""
    rate = scored / seconds
    left = max(0, images - recent[-1].evaluations) / rate
    return f"{rate:,.0f} images/s, {duration(left)} left"


def budget(reader: StoreReader) -> int:
    """Return the images that a store's runs score in all."""
    config = reader.config
    return config.runs * config.evolution.images_by(config.evolve.generations)


def changed(before: StoreReader | None, now: StoreReader) -> str:
    """Return what is new since an earlier checkpoint; empty: there is none, or nothing is.

    Raises:
        StoreError: a checkpoint cannot be read any more, or there is none.
    """
    if before is None or before.epoch is None:
        return ""
    taken = sum(
        int((before.cell_columns(run, "id")["id"] != now.cell_columns(run, "id")["id"]).sum())
        for run in range(now.runs)
    )
    if not taken:
        return ""
    was, is_ = (
        float(np.median([each.confidence(run) for run in range(each.runs)])) for each in (before, now)
    )
    cells = "cell" if taken == 1 else "cells"
    return f"since the last commit {taken:,} {cells} taken, median {percent(was)} to {percent(is_)}"
