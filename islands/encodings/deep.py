"""A rich start for CPPNs: networks of some depth, where the paper's have no hidden node.

16 to 32 hidden nodes; each has a connection from every input and every earlier hidden node with probability
0.3, and from one of them at least; each output likewise, but perhaps from none. Weights are normal with a
standard deviation of 2. In a prototype with parents in turn, 8,000 images of EfficientNet-Lite0 at 128 pixels
found a median of 0.46 from here, and of 0.32 from networks without hidden nodes; a density of 0.15 and
weights of 3 were worse, 32 to 80 hidden nodes no better.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from islands.encodings.draws import normal, uniform
from islands.encodings.fields import INPUTS
from islands.encodings.genomes import Genomes
from islands.encodings.graphs import MIDDLE, genomes_of
from islands.encodings.structure_torch import Graphs, pick

FEWEST, MOST = 16, 32
"""Hidden nodes."""

DENSITY = 0.3
"""Probability of a connection."""

DEVIATION = 2.0
"""Of weights."""


def deep_networks(
    n: int, outputs: int, weight_limit: float, codes: Tensor, generator: torch.Generator
) -> Genomes:
    """Draw `n` networks; `codes`, uint8, are the functions that nodes may have."""
    device, fixed = generator.device, INPUTS + outputs
    width = fixed + MOST

    def dice(*shape: int) -> Tensor:
        return uniform((n, *shape), generator)

    senders, receivers, may = (part.to(device) for part in _layout(outputs))
    numbers = torch.arange(width, device=device)
    hidden = FEWEST + (dice(1) * (MOST - FEWEST + 1)).long().clamp_(max=MOST - FEWEST)
    there = numbers < fixed + hidden
    functions = pick(codes, dice(width)) * (there & (numbers >= INPUTS))
    is_output = (receivers < fixed)[:, None]
    joined = (dice(len(may), len(senders)) < DENSITY) & may
    # A hidden node that has drawn none gets one: whatever comes before it.
    before = may.sum(1)
    one = (dice(len(may)) * before).long().clamp_(max=before - 1)
    spare = torch.arange(len(senders), device=device) == one[:, :, None]
    joined |= spare & ~joined.any(2, keepdim=True) & ~is_output
    joined &= there[:, receivers, None] & there[:, senders][:, None]
    weights = normal(joined.shape, generator) * (DEVIATION / (2 * weight_limit))
    # Pairs that may never be joined are left out: which those are does not depend on what was drawn.
    rows, columns = (part.to(device) for part in _layout(outputs).may.nonzero(as_tuple=True))
    kept = joined[:, rows, columns]
    return genomes_of(
        Graphs(
            functions.long(),
            senders[columns] * kept,
            receivers[rows] * kept,
            (MIDDLE + weights[:, rows, columns]).clamp(0, 1) * kept,
        ),
        outputs,
    )


class _Layout(NamedTuple):
    """Nodes that may send and receive, and whether a receiver may be joined to a sender: bool (T, S)."""

    senders: Tensor
    receivers: Tensor
    may: Tensor


def _layout(outputs: int) -> _Layout:
    """Return what networks of any number of hidden nodes have in common, on the CPU."""
    fixed = INPUTS + outputs
    numbers = torch.arange(fixed + MOST)
    senders, receivers = torch.cat([numbers[:INPUTS], numbers[fixed:]]), numbers[INPUTS:]
    return _Layout(senders, receivers, (receivers < fixed)[:, None] | (senders < receivers[:, None]))
