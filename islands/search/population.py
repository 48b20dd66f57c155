"""An island's genomes as emitters see them, during one generation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from islands.encodings.draws import uniform
from islands.encodings.genomes import Genomes, Replacement
from islands.errors import ConfigError
from islands.search.contract import Candidates, Climbers, Mates, Parents
from islands.search.parents import counted


@dataclass
class IslandPopulation:
    """Implements `islands.search.contract.Population`.

    Attributes:
        parents: who has children.
        classes: int64, of each cell that is not empty.
        cells: their genomes.
        cell_ids: int64, one for each cell.
        confidence: float32, likewise.
        held: genomes of the migrants held; None where there are none.
        held_ids: int64, one for each.
        children: int32, see `Candidates.children`; replaced when parents are chosen.
    """

    parents: Parents
    classes: Tensor
    cells: Genomes
    cell_ids: Tensor
    confidence: Tensor
    held: Genomes | None
    held_ids: Tensor
    children: Tensor

    def mates(self, n: int, generator: torch.Generator) -> Mates:
        """Choose; see `Population.mates`."""
        candidates = Candidates(torch.cat([self.cell_ids, self.held_ids]), self.children)
        pairs = self.parents.choose(candidates, n, generator)
        if pairs.parents.shape != (n,) or pairs.partners.shape != (n,):
            raise ConfigError(
                f"evolve.parents: got rows of shape {tuple(pairs.parents.shape)} and "
                f"{tuple(pairs.partners.shape)}; expected {n} parents and {n} partners"
            )
        if self.parents.counts:
            self.children = counted(candidates, pairs.parents)
        return Mates(
            self._take(pairs.parents),
            self._take(pairs.partners),
            candidates.ids[pairs.parents],
            candidates.ids[pairs.partners],
        )

    def weak(self, n: int, generator: torch.Generator) -> Climbers:
        """Draw; see `Population.weak`."""
        dice = uniform(self.confidence.shape, generator)
        # The n first of a race in which each has a rate of 1 - confidence. Cells at 1 come last.
        times = -dice.clamp(min=1e-30).log() / (1 - self.confidence).clamp(min=1e-12)
        turns = torch.arange(n, device=dice.device) % len(times)
        cells = times.argsort(stable=True)[turns]
        return Climbers(self.cells.take(cells), self.cell_ids[cells], self.classes[cells])

    def _take(self, rows: Tensor) -> Genomes:
        """Return copies of candidates: own cells first, then the migrants held."""
        count = len(self.cell_ids)
        # Clamped, so that no mask has to be read: rows of migrants are replaced below.
        genomes = self.cells.take(rows.clamp(max=count - 1))
        if self.held is not None:
            genomes.replace(Replacement(rows >= count, (rows - count).clamp(min=0)), self.held)
        return genomes
