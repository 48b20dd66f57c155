"""Generation 0: random genomes and, if the encoding's settings say so, gradients that tune them.

Evolution sees scores alone; this asks how much a start that has seen gradients is worth (beyond the paper).
Measured with 9 points for each genome, at the default rate: with `coordinates: normalized`, the mean log
probability of a random class rises from -9.8 to -4.3 on LeNet, and from -9.1 to -7.9 on EfficientNet-Lite0,
where a gradient takes the time of 2.8 to 3.1 images.
With pixels as coordinates an image changes all over when a weight moves a little, and a climb finds no more
than chance does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from islands.classifiers.contract import Classifier, Differentiable, require_differentiable
from islands.encodings.contract import Children, Encoding, Operator
from islands.encodings.cppn import CppnEncoding
from islands.encodings.genomes import Genomes

_AT_ONCE = 8
"""Genomes that climb side by side. Each holds 150 MB with EfficientNet-Lite0; bits may depend on it."""


def tuned(encoding: Encoding) -> CppnEncoding | None:
    """Return the encoding, if gradients tune its generation 0."""
    return encoding if isinstance(encoding, CppnEncoding) and encoding.settings.seed_steps else None


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
    with _gradients(genomes.device):
        parts = [climb(tunable, network, genomes.take(part), targets[part]) for part in rows.split(_AT_ONCE)]
    return Children(Genomes.concatenate(parts), torch.full_like(operators, Operator.GRADIENT))


def climb(encoding: CppnEncoding, network: Differentiable, genomes: Genomes, targets: Tensor) -> Genomes:
    """Return the best of `seed_steps` points of an ascent on the weights of each genome, itself the first.

    It climbs the log probability of the class in `targets` (n,), by Adam. What is compared are the images
    that evolution would score, byte for byte; gradients are those of the same images without rounding.
    """
    # Clones: autograd cannot save tensors that were made in inference mode.
    fields = {name: field.clone() for name, field in genomes.fields.items()}
    targets = targets.clone()
    weights = fields["weights"].clone().requires_grad_()
    adam = torch.optim.Adam([weights], lr=encoding.settings.seed_rate)
    best = torch.full(targets.shape, -torch.inf, device=weights.device)
    for _ in range(encoding.settings.seed_steps):
        pixels = encoding.levels(Genomes(fields | {"weights": weights})) / 255
        log_p = network.logits(pixels).log_softmax(1).gather(1, targets[:, None])[:, 0]
        # A point without finite scores is never better: NaN compares as false.
        better = log_p.detach() > best
        best = torch.where(better, log_p.detach(), best)
        fields["weights"] = torch.where(better[:, None], weights.detach(), fields["weights"])
        adam.zero_grad()
        # A sum and not a mean: the gradient of a genome must not depend on how many climb beside it.
        (-log_p.sum()).backward()
        adam.step()
        with torch.no_grad():
            weights.clamp_(0, 1)
    return Genomes(fields)


@contextmanager
def _gradients(device: torch.device) -> Iterator[None]:
    """Allow gradients, and on an accelerator only such as come out the same each time."""
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    try:
        if device.type == "cuda":
            # Only a warning: for some operations torch has no deterministic kernel.
            torch.use_deterministic_algorithms(True, warn_only=True)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
