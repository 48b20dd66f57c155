"""Steps of Adam on genes, up the log probability of a class: what starts and emitters share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from islands.classifiers.contract import Differentiable
from islands.encodings.contract import Tunable
from islands.encodings.genomes import Genomes

AT_ONCE = 8
"""Genomes that climb side by side. Each holds 150 MB with EfficientNet-Lite0; bits may depend on it."""


class Ascent:
    """Points of n genomes on their way up; made and used within `gradients`.

    Each is an image that evolution would score, byte for byte; gradients are those of the same images without
    rounding.
    """

    def __init__(
        self,
        encoding: Tunable,
        network: Differentiable,
        genomes: Genomes,
        targets: Tensor,
        rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        """Begin at `genomes`.

        Args:
            encoding: of the genomes.
            network: whose gradients are followed.
            genomes: n.
            targets: int64 (n,), the class of each.
            rate: how far a gene in [0, 1] moves in a step, about.
            betas: of Adam.
        """
        self._encoding, self._network = encoding, network
        # Clones: autograd cannot save tensors that were made in inference mode.
        self._genomes = Genomes({name: field.clone() for name, field in genomes.fields.items()})
        self._targets = targets.clone()
        self._genes = encoding.genes(self._genomes).clone().requires_grad_()
        self._adam = torch.optim.Adam([self._genes], lr=rate, betas=betas)

    @property
    def genes(self) -> Tensor:
        """The genes of the point, float32 (n, G)."""
        return self._genes.detach().clone()

    @property
    def genomes(self) -> Genomes:
        """The genomes of the point."""
        return self._encoding.with_genes(self._genomes, self.genes)

    def step(self) -> Tensor:
        """Go on to the next point; return the log probability (n,) of the classes at the one left."""
        pixels = self._encoding.levels(self._genomes, self._genes) / 255
        log_p = self._network.logits(pixels).log_softmax(1).gather(1, self._targets[:, None])[:, 0]
        self._adam.zero_grad()
        # A sum and not a mean: the gradient of a genome must not depend on how many climb beside it.
        (-log_p.sum()).backward()
        assert self._genes.grad is not None
        # An image without finite scores has no way up: it stays where it is.
        self._genes.grad.nan_to_num_(0, 0, 0)
        self._adam.step()
        with torch.no_grad():
            self._genes.clamp_(0, 1)
        return log_p.detach()


@contextmanager
def gradients() -> Iterator[None]:
    """Allow gradients."""
    with torch.inference_mode(False), torch.enable_grad():
        yield
