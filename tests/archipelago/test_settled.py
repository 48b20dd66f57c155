"""What bins hold once all mail is read, against dictionaries."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from islands.archipelago.settled import Settled
from islands.evolution.cells import PAPER, CellLayout

CLASSES = 3


@given(st.builds(CellLayout, bins=st.integers(1, 2), places=st.integers(1, 3)), st.integers(1, 5), st.data())
def test_bins_hold_the_best_of_different_fitness(
    layout: CellLayout, letters: int, data: st.DataObject
) -> None:
    """The best first; of equals, what was heard first."""
    count = CLASSES * layout.per_class
    settled = Settled(count, layout)
    known: list[dict[float, float]] = [{} for _ in range(count // layout.places)]
    for letter in range(letters):
        cells = np.array(sorted(data.draw(st.sets(st.integers(0, count - 1)))), np.int64)
        levels = st.lists(st.integers(0, 4), min_size=len(cells), max_size=len(cells))
        fitness = np.array(data.draw(levels), np.float32)
        # Told apart by who was heard when.
        confidence = (np.arange(len(cells)) + 100 * letter + 1).astype(np.float32)
        settled.take(cells, fitness, confidence)
        for cell, level, seen in zip(cells.tolist(), fitness.tolist(), confidence.tolist(), strict=True):
            known[cell // layout.places].setdefault(level, seen)
    empty = 0.0 if layout == PAPER else np.nan
    for found, heard in zip(settled.confidence.reshape(-1, layout.places), known, strict=True):
        best = [heard[level] for level in sorted(heard, reverse=True)][: layout.places]
        best += [empty] * (layout.places - len(best))
        np.testing.assert_array_equal(found, np.array(best, np.float32))
