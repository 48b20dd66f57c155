"""What an encoding promises."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from islands.encodings.genomes import Arrays, Genomes
from islands.errors import ConfigError


class Operator(IntEnum):
    """How a genome came to be; stored as uint8. Emitters of others have codes from 128 on."""

    RANDOM = 0
    MUTATION = 1
    CROSSOVER = 2
    GRADIENT = 3
    """Drawn at random, or a parent's, and then moved along the network's gradient."""
    FINE = 4
    """Small steps of some genes; see `islands.encodings.fine`."""
    WARP = 5
    """One output of a partner displaces a coordinate; see `islands.encodings.graphs`."""
    TRANSFORM = 6
    """Zoomed, turned, shifted or stretched; see `islands.encodings.graphs`."""
    FOREIGN = 7
    """By another library; see `islands.ribs`."""


class Children(NamedTuple):
    """A batch of B genomes, and for each the `Operator` that made it, uint8 (B,)."""

    genomes: Genomes
    operators: Tensor


@runtime_checkable
class Tunable(Protocol):
    """An encoding whose genes are numbers, which small steps and gradients can move."""

    def genes(self, genomes: Genomes) -> Tensor:
        """Return the genes as float32 (B, G) in [0, 1]; see `present`."""
        ...

    def present(self, genomes: Genomes) -> Tensor:
        """Say which genes there are: bool (B, G)."""
        ...

    def with_genes(self, genomes: Genomes, genes: Tensor) -> Genomes:
        """Return `genomes` with other genes (B, G) in [0, 1], rounded to what a genome can hold."""
        ...

    def levels(self, genomes: Genomes, genes: Tensor) -> Tensor:
        """Return the bytes of `render(with_genes(…))` as float32, on autograd's tape from `genes`.

        The gradients are those of the same image without rounding.
        """
        ...


@runtime_checkable
class Seeded(Tunable, Protocol):
    """A tunable encoding whose genomes of generation 0 gradients move; see `CppnSettings.seed_steps`."""

    @property
    def seed_steps(self) -> int:
        """Points of the ascent on each genome; 0: none."""
        ...

    @property
    def seed_rate(self) -> float:
        """How far a gene in [0, 1] moves from one point to the next, about."""
        ...


@runtime_checkable
class Growing(Protocol):
    """An encoding whose genomes are networks that grow."""

    def hidden_nodes(self, genomes: Genomes) -> Tensor:
        """Count the nodes between inputs and outputs: int64 (B,)."""
        ...


class Encoding(Protocol):
    """How a genome becomes an image, and how genomes vary.

    An encoding holds parameters only. Randomness comes from the generator that the caller hands in, which
    must live on the device of the genomes; equal generators give equal results, whatever happened before.
    `islands.testing.EncodingTests` tests one.

    Example:
        >>> from islands.encodings.settings import DirectSettings
        >>> encoding: islands.Encoding = DirectSettings().build(channels=3, size=8)
        >>> encoding.name, encoding.channels, encoding.size
        ('direct', 3, 8)
    """

    @property
    def name(self) -> str:
        """The name used in configurations and stores."""
        ...

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for RGB."""
        ...

    @property
    def size(self) -> int:
        """Height and width of the images that evolution scores, in pixels."""
        ...

    def random(self, n: int, generator: torch.Generator) -> Genomes:
        """Draw `n` genomes of generation 0."""
        ...

    def vary(
        self, parents: Genomes, partners: Genomes, generation: int, generator: torch.Generator
    ) -> Children:
        """Make one child per row of `parents` (B rows).

        `partners` (B rows) serve crossover; a child made with `Operator.MUTATION` owes nothing to them.
        `generation` counts from 1. The arguments are not modified.
        """
        ...

    def render(self, genomes: Genomes, size: int | None = None) -> Tensor:
        """Draw the genomes: uint8 (B, channels, size, size), on their device.

        At `size=None` these are the images that evolution scores, byte for byte. The image of a genome does
        not depend on the other rows of its batch.
        """
        ...

    def compact(self, genomes: Genomes) -> Genomes:
        """Return the same genomes without gaps, padded no more than the longest needs.

        This may wait for the device, once; `random`, `vary` and `render` never do. There, what `vary` draws
        may depend on the padding, which it lets grow: who wants results that depend on genomes alone compacts
        the parents at a point that depends on nothing else, such as the start of an epoch.
        """
        ...

    def to_arrays(self, genomes: Genomes) -> Arrays:
        """Return plain arrays for storage and transport, first dimension n, no wider than needed."""
        ...

    def from_arrays(self, arrays: Arrays, device: torch.device) -> Genomes:
        """Invert `to_arrays`."""
        ...


def require_tunable(encoding: Encoding) -> Tunable:
    """Return the encoding, as one whose genes small steps can move.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(encoding, Tunable):
        raise ConfigError(f"the encoding {encoding.name} has no genes that small steps can move")
    return encoding
