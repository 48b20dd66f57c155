"""The direct encoding: genomes are images.

A genome is the field `genes`, uint8 (n, channels * size * size), in the order channel, row, column: grey
levels, or three planes of hue, saturation and value (hue, lightness and saturation with colour `hls`). Genes
are integers as in the paper. The released code mutates floats g/255 and rounds when it draws; rounding at
once, round(clip(g/255 + step, 0, 1) * 255), changes little, since the median step is 10.8 levels, and makes
what is stored exactly what was scored.

The size of a step in levels is a whole number, so steps come from a table over 16 random bits. Genes that
mutate are found by the gaps between them, which are geometric: the number of draws is fixed by the rate, and
a draw that falls behind the last gene has no effect. Measured on one core of an AMD EPYC, for 200 children:
0.2 ms of 784 genes, 60 ms of 196,608. Rejected: one uniform number per gene (170 ms and 160 MB to find the
genes alone); a numba kernel with its own random numbers (30 ms, but a second algorithm beside the one for
other devices).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from islands.devices import Constant, host_waits
from islands.encodings.colour import rgb_levels, to_rgb
from islands.encodings.contract import Children, Operator
from islands.encodings.draws import integers, uniform
from islands.encodings.genomes import Arrays, Genomes
from islands.encodings.polynomial import polynomial_step
from islands.encodings.settings import ByteSettings

STEP_BITS = 16
CROSSOVER_CHUNK = 1 << 22
FARTHEST = float(1 << 30)


class DirectEncoding:
    """Implements `islands.encodings.contract.Encoding`; see the module's docstring."""

    name = "direct"

    def __init__(self, settings: ByteSettings, channels: int, size: int) -> None:
        self.settings = settings
        self.channels = channels
        self.size = size
        self._steps = Constant(_level_steps(settings.mutation_eta))

    def random(self, n: int, generator: torch.Generator) -> Genomes:
        """Draw `n` images of uniform noise."""
        shape = (n, self.channels * self.size * self.size)
        return Genomes({"genes": integers(256, shape, generator, torch.uint8)})

    def vary(
        self, parents: Genomes, partners: Genomes, generation: int, generator: torch.Generator
    ) -> Children:
        """Make one child per parent, by mutation alone or by crossover and mutation."""
        genes = parents["genes"]
        operators = torch.full((len(genes),), Operator.MUTATION, dtype=torch.uint8, device=genes.device)
        if self.settings.crossover_rate > 0:
            chance = uniform((len(genes),), generator)
            crossed = chance < self.settings.crossover_rate
            operators = torch.where(crossed, int(Operator.CROSSOVER), operators)
            # To find the crossed rows would make the host wait: there all are crossed, and the mask chooses.
            if host_waits(genes.device):
                genes = torch.where(crossed[:, None], self._cross(genes, partners["genes"], generator), genes)
            else:
                rows = crossed.nonzero()[:, 0]
                # A copy: the parents stay as they are.
                genes = genes.clone()
                genes[rows] = self._cross(genes[rows], partners["genes"][rows], generator)
        return Children(Genomes({"genes": self._mutate(genes, generation, generator)}), operators)

    def render(self, genomes: Genomes, size: int | None = None) -> Tensor:
        """Draw the genomes: uint8 (B, channels, size, size). Other sizes show or skip whole pixels."""
        images = genomes["genes"].reshape(-1, self.channels, self.size, self.size)
        if self.channels == 3:
            images = to_rgb(images, self.settings.colour)
        if size is None or size == self.size:
            # Where nothing was converted, the image would share the memory of its genome.
            return images.clone() if self.channels == 1 else images
        return interpolate(images, size=(size, size), mode="nearest-exact")

    def compact(self, genomes: Genomes) -> Genomes:
        """Return the genomes: all have the same length."""
        return genomes

    def to_arrays(self, genomes: Genomes) -> Arrays:
        """Return `genes` as in the module's docstring."""
        # On the CPU the array would else share the memory of the tensor.
        return {"genes": genomes["genes"].to("cpu", copy=True).numpy()}

    def from_arrays(self, arrays: Arrays, device: torch.device) -> Genomes:
        """Invert `to_arrays`."""
        return Genomes({"genes": torch.tensor(arrays["genes"], dtype=torch.uint8, device=device)})

    def genes(self, genomes: Genomes) -> Tensor:
        """Return levels as parts of 255; see `Tunable.genes`."""
        return genomes["genes"].float() / 255

    def present(self, genomes: Genomes) -> Tensor:
        """Say that all genes are there; see `Tunable.present`."""
        return torch.ones_like(genomes["genes"], dtype=torch.bool)

    def with_genes(self, genomes: Genomes, genes: Tensor) -> Genomes:
        """Round genes to levels; see `Tunable.with_genes`."""
        return Genomes(genomes.fields | {"genes": (genes * 255).round().to(torch.uint8)})

    def levels(self, genomes: Genomes, genes: Tensor) -> Tensor:
        """Return bytes on autograd's tape; see `Tunable.levels`."""
        unrounded = (genes * 255).view(-1, self.channels, self.size, self.size)
        if self.channels == 3:
            unrounded = rgb_levels(unrounded, self.settings.colour)
        scored = self.render(self.with_genes(genomes, genes.detach()))
        # The difference is exactly 0, and carries the gradient: the values stay those of the bytes.
        return scored.float() + (unrounded - unrounded.detach())

    def mutation_rate(self, generation: int) -> float:
        """Return the probability that a gene mutates in `generation`, counted from 1."""
        if self.settings.halve_every == 0:
            return self.settings.mutation_rate
        return self.settings.mutation_rate * 0.5 ** ((generation - 1) // self.settings.halve_every)

    def _mutate(self, genes: Tensor, generation: int, generator: torch.Generator) -> Tensor:
        total = genes.numel()
        positions = _sparse_positions(total, self.mutation_rate(generation), generator)
        bits = integers(1 << STEP_BITS, positions.shape, generator, torch.int32)
        steps = self._steps.on(genes.device)[bits]
        # The gene too many takes what falls behind the end, so that no mask of unknown length is needed.
        mutated = torch.empty(total + 1, dtype=torch.uint8, device=genes.device)
        mutated[:total] = genes.reshape(-1)
        mutated[total] = 0
        # uint8 and int16 add up to int16: sums below 0 and above 255 are clipped, and do not wrap.
        mutated[positions] = (mutated[positions] + steps).clamp_(0, 255).to(torch.uint8)
        return mutated[:total].view_as(genes)

    def _cross(self, parents: Tensor, partners: Tensor, generator: torch.Generator) -> Tensor:
        """Return one child per pair, in chunks that bound the memory for floats."""
        children = torch.empty_like(parents).reshape(-1)
        chunks = zip(
            torch.split(children, CROSSOVER_CHUNK),
            torch.split(parents.reshape(-1), CROSSOVER_CHUNK),
            torch.split(partners.reshape(-1), CROSSOVER_CHUNK),
            strict=True,
        )
        for child, parent, partner in chunks:
            child.copy_(_simulated_binary_crossover(parent, partner, self.settings.crossover_eta, generator))
        return children.view_as(parents)


def _level_steps(eta: float) -> Tensor:
    """Return round(255 * step) for every value of `STEP_BITS` random bits, int16."""
    count = 1 << STEP_BITS
    uniform = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return (255 * polynomial_step(uniform, eta)).round().to(torch.int16)


def _sparse_positions(total: int, rate: float, generator: torch.Generator) -> Tensor:
    """Choose each of 0..total-1 with probability `rate`: int64, increasing, then `total` repeated."""
    mean = total * rate
    # Eight standard deviations above the mean, with room for the skew of small means.
    draws = min(total, int(mean + 8 * math.sqrt(mean) + 24))
    gaps = uniform((draws,), generator).neg_().log1p_()
    # At a low rate gaps may exceed int32. At a rate of 1 all are 0, and log1p(-1) is not defined.
    gaps = gaps.mul_(1 / math.log1p(-rate) if rate < 1 else 0).clamp_(max=FARTHEST).to(torch.int32)
    # The cumulative sum of int32 is int64: far gaps do not overflow.
    return gaps.add_(1).cumsum(0).sub_(1).clamp_(max=total)


def _simulated_binary_crossover(
    parents: Tensor, partners: Tensor, eta: float, generator: torch.Generator
) -> Tensor:
    """Return one of the two children, drawn gene by gene, of pairs of uint8 (n,): uint8 (n,).

    The form with bounds of Deb's own code, which the released code uses: a child spreads from the mean of its
    parents to the side of the lower or of the upper, and never leaves 0..255. Equal genes are inherited; the
    released code sets them to mid-grey by mistake.
    """
    low = torch.minimum(parents, partners).float()
    high = torch.maximum(parents, partners).float()
    distance = high - low
    chance, side = uniform((2, len(low)), generator)
    upper = side < 0.5
    room = torch.where(upper, 255 - high, low)
    # The clamp only avoids a division by 0: equal genes have an offset of 0 in any case.
    alpha = 2 - (1 + 2 * room / distance.clamp(min=1)) ** -(eta + 1)
    spread = chance * alpha
    spread = torch.where(spread <= 1, spread, 1 / (2 - spread)) ** (1 / (eta + 1))
    offset = torch.where(upper, spread, -spread) * distance
    return ((low + high + offset) / 2).round().clamp(0, 255).to(torch.uint8)
