"""A search: who has children, and how two parents make one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from islands.encodings.contract import Children, Operator
from islands.encodings.genomes import Genomes
from islands.search.contract import Candidates, Offspring, Pairs, Population

if TYPE_CHECKING:
    import islands
    from islands_gratings.settings import Rarest, Swap


class SwapEmitter:
    """Implements `islands.search.contract.Emitter`."""

    def __init__(self, _settings: Swap, _encoding: islands.Encoding, _classifier: islands.Classifier) -> None:
        pass

    def emit(
        self, population: Population, visits: int, generation: int, generator: torch.Generator
    ) -> Offspring:
        del generation
        mates = population.mates(visits, generator)
        ours, theirs = mates.parents["genes"], mates.partners["genes"]
        dice = torch.rand(ours.shape, generator=generator, device=ours.device)
        genes = torch.where(dice < 0.5, ours, theirs)
        operators = torch.full((visits,), int(Operator.CROSSOVER), dtype=torch.uint8, device=ours.device)
        return Offspring(
            Children(Genomes({"genes": genes}), operators), torch.stack([mates.ids, mates.partner_ids], 1)
        )


class RarestFirst:
    """Implements `islands.search.contract.Parents`."""

    counts = False

    def __init__(self, _settings: Rarest) -> None:
        pass

    def choose(self, candidates: Candidates, n: int, generator: torch.Generator) -> Pairs:
        ids = candidates.ids
        cells = (ids[:, None] == ids[None, :]).sum(1)
        ties = torch.rand(len(ids), generator=generator, device=ids.device)
        order = (cells + ties).argsort(stable=True)
        partners = torch.randint(len(ids), (n,), generator=generator, device=ids.device)
        return Pairs(order[torch.arange(n, device=ids.device) % len(ids)], partners)
