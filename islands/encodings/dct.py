"""The frequency encoding: genomes are the lowest coefficients of a discrete cosine transform.

A genome is the field `genes`, uint8 (n, channels * frequencies * frequencies), in the order channel, vertical
frequency v, horizontal frequency u. Gene g stands for the coefficient (g - 128) / 128, times an amplitude
that falls with the frequency, 1 / (1 + sqrt(u^2 + v^2)), as it does in photographs. The sum of cosines
cos(pi u (x + 1/2) / size) cos(pi v (y + 1/2) / size) over -1 to 1 becomes the bytes 0 to 255, and what lies
beyond is clipped; colour is made of three such planes, as in the other encodings. Genes vary as those of the
direct encoding do, so what differs from it is the image alone: smooth, but without the regularity of a CPPN.

Amplitudes and cosines are rounded to multiples of 2^-12. Every product and sum is then a whole number below
2^53 (amplitudes of 64 x 64 frequencies add up to 110), exact in double precision: the same bytes on every
device, whatever the batch and the order of summation.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from islands.devices import Constant
from islands.encodings.colour import rgb_levels, to_rgb
from islands.encodings.contract import Children
from islands.encodings.direct import DirectEncoding
from islands.encodings.genomes import Arrays, Genomes
from islands.encodings.settings import DctSettings

GENE_BITS = 7
AMPLITUDE_BITS = 12
COSINE_BITS = 12
FULL = GENE_BITS + AMPLITUDE_BITS + 2 * COSINE_BITS
"""Binary digits behind the point of the sum."""

CHUNK = 1 << 22
"""Pixels drawn at a time, which bounds the memory for doubles."""


class DctEncoding:
    """Implements `islands.encodings.contract.Encoding`; see the module's docstring."""

    name = "dct"

    def __init__(self, settings: DctSettings, channels: int, size: int) -> None:
        self.settings = settings
        self.channels = channels
        self.size = size
        self._genes = DirectEncoding(settings, channels, settings.frequencies)
        self._amplitudes = Constant(_amplitudes(settings.frequencies))

    def random(self, n: int, generator: torch.Generator) -> Genomes:
        """Draw `n` genomes of uniform coefficients."""
        return self._genes.random(n, generator)

    def vary(
        self, parents: Genomes, partners: Genomes, generation: int, generator: torch.Generator
    ) -> Children:
        """Make one child per parent, as the direct encoding does."""
        return self._genes.vary(parents, partners, generation, generator)

    def render(self, genomes: Genomes, size: int | None = None) -> Tensor:
        """Draw the genomes: uint8 (B, channels, size, size); any size samples the same cosines."""
        side = self.size if size is None else size
        genes, frequencies = genomes["genes"], self.settings.frequencies
        coefficients = genes.reshape(-1, self.channels, frequencies, frequencies).double() - (1 << GENE_BITS)
        coefficients *= self._amplitudes.on(genes.device)
        cosines = _cosines(frequencies, side).on(genes.device)
        images = torch.empty((len(genes), self.channels, side, side), dtype=torch.uint8, device=genes.device)
        rows = max(1, CHUNK // (self.channels * side * side))
        for part, image in zip(coefficients.split(rows), images.split(rows), strict=True):
            total = (cosines @ part @ cosines.T).to(torch.int64)
            # Exact: a product and a shift of whole numbers below 2^63.
            image.copy_((255 * (total + (1 << FULL)) >> (FULL + 1)).clamp_(0, 255))
        return to_rgb(images, self.settings.colour) if self.channels == 3 else images

    def genes(self, genomes: Genomes) -> Tensor:
        """Return coefficients as parts of 255; see `Tunable.genes`."""
        return self._genes.genes(genomes)

    def present(self, genomes: Genomes) -> Tensor:
        """Say that all genes are there; see `Tunable.present`."""
        return self._genes.present(genomes)

    def with_genes(self, genomes: Genomes, genes: Tensor) -> Genomes:
        """Round coefficients; see `Tunable.with_genes`."""
        return self._genes.with_genes(genomes, genes)

    def levels(self, genomes: Genomes, genes: Tensor) -> Tensor:
        """Return bytes on autograd's tape; see `Tunable.levels`."""
        frequencies = self.settings.frequencies
        coefficients = (genes * 255 - (1 << GENE_BITS)).view(-1, self.channels, frequencies, frequencies)
        # In float32 and relative to the exact sum: these are only the gradient's.
        amplitudes = (self._amplitudes.on(genes.device) / 2.0 ** (GENE_BITS + AMPLITUDE_BITS)).float()
        cosines = (_cosines(frequencies, self.size).on(genes.device) / 2.0**COSINE_BITS).float()
        unrounded = (cosines @ (coefficients * amplitudes) @ cosines.T + 1).clamp(0, 2) * (255 / 2)
        if self.channels == 3:
            unrounded = rgb_levels(unrounded, self.settings.colour)
        scored = self.render(self.with_genes(genomes, genes.detach()))
        # The difference is exactly 0, and carries the gradient: the values stay those of the bytes.
        return scored.float() + (unrounded - unrounded.detach())

    def compact(self, genomes: Genomes) -> Genomes:
        """Return the genomes as they are: all have the same length."""
        return self._genes.compact(genomes)

    def to_arrays(self, genomes: Genomes) -> Arrays:
        """Return `genes` as in the module's docstring."""
        return self._genes.to_arrays(genomes)

    def from_arrays(self, arrays: Arrays, device: torch.device) -> Genomes:
        """Invert `to_arrays`."""
        return self._genes.from_arrays(arrays, device)


def _amplitudes(frequencies: int) -> Tensor:
    """Return whole numbers (v, u), float64."""
    axis = torch.arange(frequencies, dtype=torch.float64)
    lengths = torch.hypot(axis[:, None], axis[None, :])
    return torch.round(2.0**AMPLITUDE_BITS / (1 + lengths))


@cache
def _cosines(frequencies: int, size: int) -> Constant:
    """Return whole numbers (size, frequencies), float64: each frequency at the centre of each pixel."""
    # Whole turns are taken off before the division, so that equal angles are equal at every size.
    turns = (2 * torch.arange(size)[:, None] + 1) * torch.arange(frequencies)[None, :] % (4 * size)
    return Constant(torch.round(2.0**COSINE_BITS * torch.cos(turns.double() / (2 * size) * math.pi)))
