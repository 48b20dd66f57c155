"""Who has children: `uniform` is the paper's choice, `fresh` asks who has had the fewest so far.

A genome that holds many cells is drawn as often under `uniform`, and so the search returns to few genomes
while children of others were never tried. `fresh` gives all of them their turn.
"""

from __future__ import annotations

import torch
from torch import Tensor

from islands.encodings.draws import integers, uniform
from islands.search.choices import ParentsSettings
from islands.search.contract import Candidates, Pairs


class Uniform:
    """Uniform over rows, as in the released code: who holds m cells is drawn m times as often."""

    counts = False

    def __init__(self, _settings: ParentsSettings) -> None:
        pass

    def choose(self, candidates: Candidates, n: int, generator: torch.Generator) -> Pairs:
        """Choose; see `Parents.choose`."""
        drawn = integers(len(candidates.ids), (2, n), generator)
        return Pairs(drawn[0], drawn[1])


class Fresh:
    """The genomes with the fewest children first, ties at random; partners are uniform over rows.

    Each has a turn before one has its second, however many cells it holds.
    """

    counts = True

    def __init__(self, _settings: ParentsSettings) -> None:
        pass

    def choose(self, candidates: Candidates, n: int, generator: torch.Generator) -> Pairs:
        """Choose; see `Parents.choose`."""
        rows, device = len(candidates.ids), candidates.ids.device
        ties = uniform((rows,), generator)
        partners = integers(rows, (n,), generator)
        first = first_rows(candidates.ids)
        # In double precision, for the sum of a count and a fraction must keep both. Further rows of a genome
        # sort behind all others.
        keys = torch.where(first, candidates.children.double() + ties, torch.inf)
        order = keys.argsort(stable=True)
        # The number of genomes stays on the device; where there are fewer than `n`, they take turns.
        turns = torch.arange(n, device=device) % first.sum()
        return Pairs(order[turns], partners)


def first_rows(ids: Tensor) -> Tensor:
    """Say which rows of `ids` (n,) are the first of their genome: bool (n,)."""
    groups = groups_of(ids)
    rows = torch.arange(len(ids), device=ids.device)
    lowest = torch.full_like(rows, len(ids)).scatter_reduce_(0, groups, rows, "amin")
    return lowest[groups] == rows


def groups_of(ids: Tensor) -> Tensor:
    """Number the genomes of `ids` (n,): int64 (n,), equal where ids are."""
    values, order = ids.sort(stable=True)
    steps = torch.zeros_like(values)
    steps[1:] = values[1:] != values[:-1]
    return torch.empty_like(values).scatter_(0, order, steps.cumsum(0))


def counted(candidates: Candidates, parents: Tensor) -> Tensor:
    """Return `Candidates.children` (n,) after each of `parents`, rows (any,), has had a child.

    Rows of one genome leave equal, even where they came unequal: one is new here as a claim, another was
    bred from as a migrant.
    """
    groups = groups_of(candidates.ids)
    zeros = torch.zeros_like(candidates.children)
    before = zeros.scatter_reduce(0, groups, candidates.children, "amax")
    more = zeros.scatter_add(0, groups[parents], torch.ones_like(parents, dtype=zeros.dtype))
    return (before + more)[groups]
