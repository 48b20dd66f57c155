"""Generation 0: random genomes and, if the encoding's settings say so, gradients that tune them.

Evolution sees scores alone; this asks how much a start that has seen gradients is worth (beyond the paper).
Measured with 9 points for each genome, at the default rate: with `coordinates: normalized`, the mean log
probability of a random class rises from -9.8 to -4.3 on LeNet, and from -9.1 to -7.9 on EfficientNet-Lite0,
where a gradient takes the time of 2.8 to 3.1 images.
It is a start and no emitter: nobody has a cell yet, and of each climb only the best point is kept. The steps
themselves are those of the gradient emitter, see `ascent`.
With pixels as coordinates an image changes all over when a weight moves a little, and a climb finds no more
than chance does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from islands.classifiers.contract import Classifier, Differentiable, require_differentiable
from islands.encodings.contract import Children, Encoding, Operator, Seeded
from islands.encodings.genomes import Genomes
from islands.evolution.ascent import AT_ONCE, Ascent, gradients


def tuned(encoding: Encoding) -> Seeded | None:
    """Return the encoding, if gradients tune its generation 0."""
    return encoding if isinstance(encoding, Seeded) and encoding.seed_steps else None


def first_genomes(
    encoding: Encoding, classifier: Classifier, classes: range, n: int, generator: torch.Generator
) -> Children:
    """Make the `n` genomes of generation 0 of an island that owns `classes`.

    Raises:
        NetworkError: gradients are needed, and `classifier` has none.
    """
    genomes = encoding.random(n, generator)
    operators = torch.full((n,), Operator.RANDOM, dtype=torch.uint8, device=genomes.device)
    if (tunable := tuned(encoding)) is None:
        return Children(genomes, operators)
    network = require_differentiable(classifier)
    rows = torch.arange(n, device=genomes.device)
    targets = classes.start + rows * len(classes) // n
    with gradients():
        parts = [climb(tunable, network, genomes.take(part), targets[part]) for part in rows.split(AT_ONCE)]
    return Children(Genomes.concatenate(parts), torch.full_like(operators, Operator.GRADIENT))


def climb(encoding: Seeded, network: Differentiable, genomes: Genomes, targets: Tensor) -> Genomes:
    """Return the best of `seed_steps` points of an ascent on the weights of each genome, itself the first.

    It climbs the log probability of the class in `targets` (n,), by Adam.
    """
    ascent = Ascent(encoding, network, genomes, targets, encoding.seed_rate)
    best, highest = ascent.genes, torch.full(targets.shape, -torch.inf, device=targets.device)
    for _ in range(encoding.seed_steps):
        genes = ascent.genes
        log_p = ascent.step()
        # A point without finite scores is never better: NaN compares as false.
        better = log_p > highest
        highest = torch.where(better, log_p, highest)
        best = torch.where(better[:, None], genes, best)
    fields = {name: field.clone() for name, field in genomes.fields.items()}
    return encoding.with_genes(Genomes(fields), best)
