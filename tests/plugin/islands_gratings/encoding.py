"""An encoding: genomes are waves, and an image is their sum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from islands.encodings.contract import Children, Operator
from islands.encodings.genomes import Arrays, Genomes

if TYPE_CHECKING:
    from islands_gratings.settings import Gratings


class GratingsEncoding:
    """Implements `islands.Encoding`. Genes float32 (n, waves * (3 + channels)) in [0, 1]."""

    def __init__(self, settings: Gratings, channels: int, size: int) -> None:
        self.name = settings.name
        self.channels = channels
        self.size = size
        self._settings = settings
        self._width = settings.waves * (3 + channels)

    def random(self, n: int, generator: torch.Generator) -> Genomes:
        return Genomes({"genes": torch.rand((n, self._width), generator=generator, device=generator.device)})

    def vary(
        self, parents: Genomes, partners: Genomes, generation: int, generator: torch.Generator
    ) -> Children:
        del partners, generation
        genes = parents["genes"]
        dice = torch.rand((2, *genes.shape), generator=generator, device=genes.device)
        moved = torch.where(dice[0] < self._settings.rate, dice[1], genes)
        operators = torch.full((len(genes),), int(Operator.MUTATION), dtype=torch.uint8, device=genes.device)
        return Children(Genomes({"genes": moved}), operators)

    def render(self, genomes: Genomes, size: int | None = None) -> Tensor:
        side = self.size if size is None else size
        axis = (torch.arange(side, device=genomes.device) + 0.5) / side - 0.5
        images = [self._draw(genes, axis) for genes in genomes["genes"]]
        if not images:
            return torch.empty((0, self.channels, side, side), dtype=torch.uint8, device=genomes.device)
        return torch.stack(images)

    def _draw(self, genes: Tensor, axis: Tensor) -> Tensor:
        waves = genes.view(self._settings.waves, 3 + self.channels)
        angle, pitch, phase = math.pi * waves[:, 0], 40 * waves[:, 1], 2 * math.pi * waves[:, 2]
        x, y = axis[None, None, :], axis[None, :, None]
        along = x * angle.cos()[:, None, None] + y * angle.sin()[:, None, None]
        height = (pitch[:, None, None] * along + phase[:, None, None]).sin()
        colours = 2 * waves[:, 3:] - 1
        mixed = (colours[:, :, None, None] * height[:, None]).sum(0)
        return (127.5 * (1 + mixed.tanh())).to(torch.uint8)

    def compact(self, genomes: Genomes) -> Genomes:
        return genomes

    def to_arrays(self, genomes: Genomes) -> Arrays:
        return {"genes": genomes["genes"].cpu().numpy().copy()}

    def from_arrays(self, arrays: Arrays, device: torch.device) -> Genomes:
        return Genomes({"genes": torch.tensor(arrays["genes"], device=device)})
