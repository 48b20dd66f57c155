"""The class map: one cell per class, and the rule by which a batch of children takes cells.

The original judges every child on every class (paper section 2.2; `ea::MapElite` of the released code), so
insertion works column by column on the (B, K) matrix of fitness and one child may take many cells. No image
is ever copied per class.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from islands.devices import host_waits
from islands.encodings.contract import Encoding
from islands.encodings.genomes import Genomes, Replacement
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
    """

    genomes: Genomes
    fitness: Tensor
    probabilities: Tensor
    columns: dict[str, Tensor]


def winners(fitness: Tensor) -> tuple[Tensor, Tensor]:
    """Return the best fitness of each class (K,) and its row (K,); the first row wins a tie.

    NumPy and `torch.argmax` document that they return the first maximum; `torch.max` does not. On the CPU
    NumPy takes a third of the time.
    """
    on_cpu = not host_waits(fitness.device)
    rows = torch.from_numpy(fitness.numpy().argmax(0)) if on_cpu else fitness.argmax(0)
    return fitness.gather(0, rows[None])[0], rows


class Archive:
    """The cells of the classes `first` to `first + count - 1` on one device.

    Attributes:
        fitness: (count,) float32, what a newcomer must exceed; -inf in an empty cell.
        probabilities: (count, K) float32.
        columns: tensors (count, …), see `COLUMN_TYPES`; id -1 in an empty cell.
    """

    def __init__(self, first: int, count: int, class_count: int, device: torch.device) -> None:
        self.first = first
        self.count = count
        self.device = device
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
        """The genomes of the cells, `count` rows; those of empty cells are zeros."""
        assert self._genomes is not None, "the archive is empty"
        return self._genomes

    def insert(self, batch: Batch, best: Tensor, rows: Tensor) -> Tensor:
        """Let `batch` take every cell where it is strictly better, and return which: (count,) bool.

        `best` and `rows` (K,) are the `winners` of the batch over all classes.
        """
        own = slice(self.first, self.first + self.count)
        # Strictly greater, as in the released code: of equals, who came first keeps the cell. Empty cells are
        # at -inf, so that any finite fitness takes them.
        taken = best[own] > self.fitness
        replacement = Replacement(taken, rows[own])
        self.fitness = torch.where(taken, best[own], self.fitness)
        replacement.apply(self.probabilities, batch.probabilities)
        for name, column in self.columns.items():
            replacement.apply(column, batch.columns[name])
        self._put_genomes(replacement, batch.genomes)
        return taken

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
            classes=(cells + self.first).to(torch.int32).cpu().numpy(),
            fitness=self.fitness[cells].cpu().numpy(),
            probabilities=self.probabilities[cells].cpu().numpy(),
            genomes={},
            **index,
        )

    def load(self, elites: Elites, encoding: Encoding) -> None:
        """Fill the cells from a table that has one row for each."""
        if not np.array_equal(elites.classes, np.arange(self.first, self.first + self.count)):
            raise ValueError(f"expected one row for each class from {self.first}, got {elites.classes}")
        batch = as_batch(elites, encoding, self.device)
        self.fitness = torch.tensor(elites.fitness, device=self.device)
        self.probabilities, self.columns, self._genomes = batch.probabilities, batch.columns, batch.genomes

    def _put_genomes(self, replacement: Replacement, source: Genomes) -> None:
        # What fields there are, and how wide, is known from the first batch on.
        if self._genomes is None:
            self._genomes = Genomes(
                {
                    name: torch.zeros((self.count, field.shape[1]), dtype=field.dtype, device=self.device)
                    for name, field in source.fields.items()
                }
            )
        self._genomes.replace(replacement, source)


def as_batch(elites: Elites, encoding: Encoding, device: torch.device) -> Batch:
    """Return a table as a batch in which each row is judged for its own class alone."""
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
    )
