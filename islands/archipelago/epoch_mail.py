"""The mail that the islands of a run sent at the end of one epoch, as the driver holds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from islands.evolution.cells import CellLayout
from islands.evolution.elites import Elites


class Claims:
    """For each cell the best of the claims of an epoch; at equal fitness that of the first island.

    The others cannot take a cell, and there would be islands x cells of them while boards are unknown: with
    1000 islands of 1000 classes gigabytes. What is kept does not depend on the order in which mail comes.
    Where bins have several places all claims are kept, for a second best may take one as well.
    """

    def __init__(self, class_count: int, layout: CellLayout) -> None:
        cells = class_count * layout.per_class
        self._layout = layout
        self._fitness = np.full(cells, -np.inf, np.float32)
        self._senders = np.full(cells, -1, np.int32)
        self._rows = np.zeros(cells, np.intp)
        self._sent: dict[int, Elites] = {}

    def add(self, sender: int, claims: Elites) -> None:
        """Take the mail of one island, at most one row per cell."""
        if self._layout.places > 1:
            self._sent[sender] = claims
            return
        standing, holders = self._fitness[claims.cells], self._senders[claims.cells]
        # Of equals the lower number and not the earlier mail: timing must not change a result.
        better = (claims.fitness > standing) | ((claims.fitness == standing) & (sender < holders))
        if not better.any():
            return
        # A copy of these rows alone, so that the rest of the mail can be freed.
        kept = claims.take(better)
        self._sent[sender] = kept
        self._fitness[kept.cells] = kept.fitness
        self._senders[kept.cells] = sender
        self._rows[kept.cells] = np.arange(len(kept))

    def tables(self) -> Iterable[Elites]:
        """Return every claim taken in, and some that were beaten since."""
        return self._sent.values()

    def of(self, cells: range) -> Iterator[tuple[int, Elites]]:
        """Yield the claims to an island's cells by sender, in the order of senders and cells."""
        if self._layout.places > 1:
            for sender in sorted(self._sent):
                sent = self._sent[sender]
                own = (sent.cells >= cells.start) & (sent.cells < cells.stop)
                if own.any():
                    yield sender, sent.take(own)
            return
        senders = self._senders[cells.start : cells.stop]
        rows = self._rows[cells.start : cells.stop]
        for sender in np.unique(senders[senders >= 0]).tolist():
            yield sender, self._sent[sender].take(rows[senders == sender])


@dataclass
class EpochMail:
    """Boards and migrants by sender, and the claims of all."""

    claims: Claims
    boards: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict)
    migrants: dict[int, Elites] = field(default_factory=dict)

    @cached_property
    def board(self) -> npt.NDArray[np.float32]:
        """(cells,) float32, the fitness of every cell; to be asked for when all boards have come."""
        return np.concatenate([self.boards[island] for island in range(len(self.boards))])


def stack(
    parts: Sequence[tuple[int, Elites]],
) -> tuple[Elites | None, npt.NDArray[np.int32] | None]:
    """Stack tables in the order given, and name the sender of each row."""
    if not parts:
        return None, None
    senders = np.array([sender for sender, _ in parts], np.int32)
    rows = np.repeat(senders, [len(elites) for _, elites in parts])
    return Elites.concatenate([elites for _, elites in parts]), rows
