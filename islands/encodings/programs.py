"""CPPN genomes sorted into programs: lists of nodes, sources first, that accelerators evaluate as a batch.

All is done by tensor operations whose number depends on the widths of the genomes alone, so that no value is
read back. The order is that of the number of ancestors, which grows along every connection.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from islands.encodings.fields import INPUTS
from islands.encodings.genomes import Genomes


class Programs(NamedTuple):
    """n genomes of N nodes and C connections, in steps that evaluate one node each.

    Attributes:
        steps: (n,) int32, the nodes that an output needs, inputs left out.
        nodes: (n, N) int32, the node that each step evaluates.
        functions: (n, N) int32, of those nodes; see `cppn`.
        starts: (n, N + 1) int32; the connections of step k are `starts[k]` to `starts[k + 1] - 1`.
        sources: (n, C) int32, the node that each connection comes from. Those of a step are in the order in
            which the genome stores them, which is the order of its sum.
        weights: (n, C) float32, in [-weight_limit, weight_limit].

    What lies behind the last step and the last connection has no meaning.
    """

    steps: Tensor
    nodes: Tensor
    functions: Tensor
    starts: Tensor
    sources: Tensor
    weights: Tensor


def programs_of(genomes: Genomes, outputs: int, weight_limit: float) -> Programs:
    """Return the programs that draw `genomes`, on their device."""
    functions = genomes["functions"].long()
    sources, targets = genomes["sources"].long(), genomes["targets"].long()
    rows, width = functions.shape
    paths = paths_between(sources, targets, width)
    needed = paths[:, INPUTS : INPUTS + outputs].any(1)
    needed[:, :INPUTS] = False
    # No node has more ancestors than there are nodes: what is not needed sorts behind all others.
    nodes = torch.where(needed, paths.sum(2), width + 1).argsort(dim=1, stable=True)
    numbers = torch.arange(width, device=functions.device).expand(rows, width)
    step_of = torch.empty_like(nodes).scatter_(1, nodes, numbers)
    # A connection that is absent, or leads to a node that nobody needs, goes behind all others.
    used = (targets > 0) & needed.gather(1, targets)
    steps = torch.where(used, step_of.gather(1, targets), width)
    # Stable: the connections of a node stay in storage order, which is the order of its sum.
    edges = steps.argsort(dim=1, stable=True)
    counts = nodes.new_zeros((rows, width + 1)).scatter_add_(1, steps, torch.ones_like(steps))
    # The operations of the CPU's kernel, in its order: the same bits.
    weights = genomes["weights"] * (2 * weight_limit) - weight_limit
    return Programs(
        steps=needed.sum(1, dtype=torch.int32),
        nodes=nodes.int(),
        functions=functions.gather(1, nodes).int(),
        starts=(counts.cumsum(1) - counts).int(),
        sources=sources.gather(1, edges).int(),
        weights=weights.gather(1, edges),
    )


def paths_between(sources: Tensor, targets: Tensor, width: int) -> Tensor:
    """Say whether a path leads to node a from node b, or a is b: bool (n, width, width), at [:, a, b].

    Squaring the matrix of connections doubles the length of the paths that it has.
    """
    n = len(sources)
    connected = torch.eye(width, device=sources.device).repeat(n, 1, 1)
    # An absent connection leads from node 0 to node 0.
    connected.flatten(1).scatter_(1, targets * width + sources, 1)
    for _ in range((width - 1).bit_length()):
        # Floats, for CUDA multiplies no matrices of integers. Clamped, the counts stay exact.
        connected = (connected @ connected).clamp_(max=1)
    return connected > 0
