"""What a search is made of: parents, and emitters that make children of them.

All of it is a function of an island's state and of the generation's random stream, batched on the island's
device. Nothing here reads a value of the device: the host never waits.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from islands.encodings.contract import Children
from islands.encodings.genomes import Genomes


class Candidates(NamedTuple):
    """The n rows that parents are chosen from: an island's cells in order, then the migrants that it holds.

    Attributes:
        ids: (n,) int64; a genome that holds several cells has several rows.
        children: (n,) int32, how many children each genome has had on this island, equal in all of its rows;
            zeros where nobody counts.
    """

    ids: Tensor
    children: Tensor


class Pairs(NamedTuple):
    """Rows of candidates, (n,) int64 each: parents, and partners for what takes two."""

    parents: Tensor
    partners: Tensor


class Parents(Protocol):
    """Chooses who has children."""

    @property
    def counts(self) -> bool:
        """Whether `Candidates.children` matters: only then it is counted, and part of a checkpoint."""
        ...

    def choose(self, candidates: Candidates, n: int, generator: torch.Generator) -> Pairs:
        """Choose `n` parents and `n` partners; nothing is modified."""
        ...


class Mates(NamedTuple):
    """Copies of n parents and of n partners, and their ids, (n,) int64."""

    parents: Genomes
    partners: Genomes
    ids: Tensor
    partner_ids: Tensor


class Climbers(NamedTuple):
    """Copies of n elites, their ids (n,) int64, and the classes (n,) int64 whose cells they hold."""

    genomes: Genomes
    ids: Tensor
    classes: Tensor


class Population(Protocol):
    """The genomes of an island, as emitters see them."""

    def mates(self, n: int, generator: torch.Generator) -> Mates:
        """Let `Parents` choose `n` pairs; the parents have one child more from now on."""
        ...

    def weak(self, n: int, generator: torch.Generator) -> Climbers:
        """Draw `n` cells with weight 1 - confidence, as different ones as there are."""
        ...


class Offspring(NamedTuple):
    """Children, and the ids of their parents: (n, 2) int64, -1 where there is none."""

    children: Children
    parents: Tensor


class Emitter(Protocol):
    """One source of children, in pyribs' word."""

    def emit(
        self, population: Population, visits: int, generation: int, generator: torch.Generator
    ) -> Offspring:
        """Make the children of at least one visit; `generation` counts from 1.

        What a visit costs, its children included, is `EmitterSettings.images`.
        """
        ...
