"""Small steps: what still finds better children when large changes find none any more.

Of an elite of high confidence nearly every large change is for the worse, while a few small ones often are
not. How many genes change and how far is drawn anew for each child, over decades.
"""

from __future__ import annotations

import math

import torch

from islands.encodings.contract import Tunable
from islands.encodings.draws import normal, uniform
from islands.encodings.genomes import Genomes

SMALLEST, LARGEST = 0.0005, 0.1
"""Standard deviations of steps, of genes in [0, 1]."""


def fine_steps(
    encoding: Tunable,
    parents: Genomes,
    generator: torch.Generator,
    smallest: float = SMALLEST,
    largest: float = LARGEST,
) -> Genomes:
    """Return one child for each of B parents, with normal steps on some of its genes.

    The share of the genes is log-uniform from that of one gene to all, the standard deviation of the steps
    log-uniform from `smallest` to `largest`; genes are clipped to [0, 1].
    """
    genes, present = encoding.genes(parents), encoding.present(parents)
    sizes = uniform((2, len(genes), 1), generator)
    chance = uniform(genes.shape, generator)
    steps = normal(genes.shape, generator)
    count = present.sum(1, keepdim=True).clamp(min=1)
    share = count ** -sizes[0]
    deviation = smallest * torch.exp(sizes[1] * math.log(largest / smallest))
    moved = (genes + deviation * steps).clamp(0, 1)
    return encoding.with_genes(parents, torch.where((chance < share) & present, moved, genes))
