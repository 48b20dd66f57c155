"""The class map: the cells of classes, one of each in the paper, and how a batch of children takes them.

The original judges every child on every class (paper section 2.2; `ea::MapElite` of the released code), so
insertion works column by column on the (B, K) matrix of fitness and one child may take many cells. No image
is ever copied per class.

Where measures cut each class into bins, a child competes within its own bin alone. Where a bin has several
places, the best of different fitness hold them: children of one and the same fitness are most often copies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from islands.devices import host_waits
from islands.encodings.contract import Encoding
from islands.encodings.genomes import Genomes, Replacement
from islands.evolution.cells import PAPER, CellLayout
from islands.evolution.elites import Elites

COLUMN_TYPES = {
    "ids": torch.int64,
    "parents": torch.int64,
    "operators": torch.uint8,
    "islands": torch.int32,
    "epochs": torch.int32,
    "generations": torch.int32,
}
"""What an elite carries beside its scores and its genome."""


@dataclass
class Batch:
    """B judged genomes.

    Attributes:
        genomes: B rows.
        fitness: (B, K) float32.
        probabilities: (B, K) float32.
        columns: tensors (B, …) named and typed as in `COLUMN_TYPES`.
        bins: (B,) int64, the bin of each within every class; None where there is but one.
    """

    genomes: Genomes
    fitness: Tensor
    probabilities: Tensor
    columns: dict[str, Tensor]
    bins: Tensor | None = None


class Winners(NamedTuple):
    """The best of a batch for each bin of each class, (K * bins,) each: their fitness and their rows."""

    fitness: Tensor
    rows: Tensor


def winners(batch: Batch, layout: CellLayout) -> list[Winners]:
    """Return who is best in each bin, then who is best of lower fitness, and so on for each place.

    The first row wins a tie. A fitness of -inf means that there is nobody.
    """
    fitness = [batch.fitness] if batch.bins is None else _by_bin(batch.fitness, batch.bins, layout.bins)
    if layout == PAPER:
        return [_best(batch.fitness)]
    found = []
    for _ in range(layout.places):
        ranked = [_best(each) for each in fitness]
        # Bins change fastest: those of a class lie side by side.
        found.append(Winners(*(torch.stack(parts, 1).flatten() for parts in zip(*ranked, strict=True))))
        fitness = [
            each.where(each < best, -torch.inf) for each, (best, _) in zip(fitness, ranked, strict=True)
        ]
    return found


def _by_bin(fitness: Tensor, bins: Tensor, count: int) -> list[Tensor]:
    return [fitness.where((bins == number)[:, None], -torch.inf) for number in range(count)]


def _best(fitness: Tensor) -> Winners:
    """Return the best fitness of each class (K,) and its row (K,); the first row wins a tie.

    NumPy and `torch.argmax` document that they return the first maximum; `torch.max` does not. On the CPU
    NumPy takes a third of the time.
    """
    on_cpu = not host_waits(fitness.device)
    rows = torch.from_numpy(fitness.numpy().argmax(0)) if on_cpu else fitness.argmax(0)
    return Winners(fitness.gather(0, rows[None])[0], rows)


class Archive:
    """The cells of some classes on one device.

    Attributes:
        cells: their numbers.
        layout: how they lie.
        classes: (cells,) int64, the class of each.
        fitness: (cells,) float32, -inf in an empty cell.
        probabilities: (cells, K) float32.
        columns: tensors (cells, …), see `COLUMN_TYPES`; id -1 in an empty cell.
    """

    def __init__(
        self, classes: range, class_count: int, device: torch.device, layout: CellLayout = PAPER
    ) -> None:
        self.layout = layout
        self.cells = layout.of(classes)
        self.device = device
        count = len(self.cells)
        self.classes = torch.arange(classes.start, classes.stop, device=device).repeat_interleave(
            layout.per_class
        )
        self.fitness = torch.full((count,), -torch.inf, device=device)
        self.probabilities = torch.zeros((count, class_count), device=device)
        self.columns = {
            name: torch.full((count, 2) if name == "parents" else (count,), 0, dtype=dtype, device=device)
            for name, dtype in COLUMN_TYPES.items()
        }
        self.columns["ids"].fill_(-1)
        self._genomes: Genomes | None = None

    @property
    def genomes(self) -> Genomes:
        """The genomes of the cells, a row each; those of empty cells are zeros."""
        assert self._genomes is not None, "the archive is empty"
        return self._genomes

    @property
    def confidence(self) -> Tensor:
        """(cells,) float32: the probability of each cell's own class; 0 in an empty cell."""
        return self.probabilities.gather(1, self.classes[:, None])[:, 0]

    @property
    def to_beat(self) -> Tensor:
        """(classes * bins,) float32: what a newcomer must exceed to take a place of a bin."""
        places = self.layout.places
        return self.fitness if places == 1 else self.fitness.view(-1, places).amin(1)

    def insert(self, batch: Batch, ranked: list[Winners]) -> Tensor:
        """Let `batch` take every cell where it is strictly better, and return which: (cells,) bool.

        `ranked` are the `winners` of the batch over all classes.
        """
        taken = torch.zeros_like(self.fitness, dtype=torch.bool)
        for best in ranked:
            taken |= self._insert(batch, best)
        return taken

    def _insert(self, batch: Batch, best: Winners) -> Tensor:
        places = self.layout.places
        own = slice(self.cells.start // places, self.cells.stop // places)
        fitness, rows = (part[own].repeat_interleave(places) for part in best)
        # Strictly greater, as in the released code: of equals, who came first keeps the cell. Empty cells are
        # at -inf, so that any finite fitness takes them.
        taken = fitness > self.fitness
        if places > 1:
            taken &= self._is_weakest() & ~self._has(best.fitness[own])
        replacement = Replacement(taken, rows)
        self.fitness = torch.where(taken, fitness, self.fitness)
        replacement.apply(self.probabilities, batch.probabilities)
        for name, column in self.columns.items():
            replacement.apply(column, batch.columns[name])
        self._put_genomes(replacement, batch.genomes)
        return taken

    def _is_weakest(self) -> Tensor:
        """Say which place of each bin is the weakest, the first of equals: (cells,) bool."""
        by_bin = self.fitness.view(-1, self.layout.places)
        weakest = torch.zeros_like(by_bin, dtype=torch.bool)
        return weakest.scatter_(1, by_bin.argmin(1, keepdim=True), True).flatten()

    def _has(self, fitness: Tensor) -> Tensor:
        """Say of each place whether one of its bin has the fitness given for the bin: (cells,) bool."""
        places = self.layout.places
        return (self.fitness.view(-1, places) == fitness[:, None]).any(1).repeat_interleave(places)

    def compact(self, encoding: Encoding) -> None:
        """Store the genomes without gaps; see `Encoding.compact`."""
        self._genomes = encoding.compact(self.genomes)

    def elites(self, cells: Tensor, encoding: Encoding) -> Elites:
        """Copy `cells` (n,) out as a table."""
        return replace(self.index(cells), genomes=encoding.to_arrays(self.genomes.take(cells)))

    def index(self, cells: Tensor) -> Elites:
        """Do the same without the genomes."""
        if self._genomes is None:
            raise ValueError("the archive is empty: insert a batch first")
        # Indexing by a tensor copies. Without a copy, arrays on the CPU would change with the archive.
        index = {name: column[cells].cpu().numpy() for name, column in self.columns.items()}
        return Elites(
            cells=(cells + self.cells.start).to(torch.int32).cpu().numpy(),
            fitness=self.fitness[cells].cpu().numpy(),
            probabilities=self.probabilities[cells].cpu().numpy(),
            genomes={},
            per_class=self.layout.per_class,
            **index,
        )

    def load(self, elites: Elites, encoding: Encoding) -> None:
        """Fill the cells from a table that has one row for each."""
        if not np.array_equal(elites.cells, np.arange(self.cells.start, self.cells.stop)):
            raise ValueError(f"expected one row for each cell from {self.cells.start}, got {elites.cells}")
        batch = as_batch(elites, encoding, self.device)
        self.fitness = torch.tensor(elites.fitness, device=self.device)
        self.probabilities, self.columns, self._genomes = batch.probabilities, batch.columns, batch.genomes

    def _put_genomes(self, replacement: Replacement, source: Genomes) -> None:
        # What fields there are, and how wide, is known from the first batch on.
        if self._genomes is None:
            self._genomes = Genomes(
                {
                    name: torch.zeros(
                        (len(self.cells), field.shape[1]), dtype=field.dtype, device=self.device
                    )
                    for name, field in source.fields.items()
                }
            )
        self._genomes.replace(replacement, source)


def as_batch(elites: Elites, encoding: Encoding, device: torch.device, layout: CellLayout = PAPER) -> Batch:
    """Return a table as a batch in which each row is judged for its own class alone, in its own bin."""
    n, class_count = elites.probabilities.shape
    fitness = torch.full((n, class_count), -torch.inf)
    fitness[torch.arange(n), torch.tensor(elites.classes, dtype=torch.int64)] = torch.tensor(elites.fitness)
    # torch.tensor copies. The archive goes on writing into these, while arrays that came through Ray are
    # read-only, and within one process the driver holds the same ones.
    return Batch(
        genomes=encoding.from_arrays(elites.genomes, device),
        fitness=fitness.to(device),
        probabilities=torch.tensor(elites.probabilities, device=device),
        columns={
            name: torch.tensor(getattr(elites, name), dtype=dtype, device=device)
            for name, dtype in COLUMN_TYPES.items()
        },
        bins=_bins(elites, layout, device),
    )


def _bins(elites: Elites, layout: CellLayout, device: torch.device) -> Tensor | None:
    if layout.bins == 1:
        return None
    return torch.tensor(elites.cells // layout.places % layout.bins, dtype=torch.int64, device=device)
