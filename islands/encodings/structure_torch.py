"""Structural mutation of CPPNs by tensor operations over a whole batch: what accelerators do, never waiting.

It is the reference of the CPU's kernel, which gives the same bits. Nothing is compacted here, so absent nodes
and connections may lie anywhere; ancestors are found in a number of steps that depends on widths alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from islands.encodings.fields import INPUTS
from islands.encodings.genomes import Genomes
from islands.encodings.programs import paths_between
from islands.encodings.settings import CppnSettings

RESTRUCTURE_DRAWS = 11


class Graphs(NamedTuple):
    """The fields of n genomes while they are worked on: int64, int64, int64 and float32."""

    functions: Tensor
    sources: Tensor
    targets: Tensor
    weights: Tensor


def restructure_by_tensors(
    genomes: Genomes, outputs: int, rates: CppnSettings, codes: Tensor, uniform: Tensor
) -> Genomes:
    """Add and delete a connection and a node, each at its rate; see `cppn`.

    Args:
        genomes: n rows with N nodes and C connections; the result has N + 1 and C + 2.
        outputs: the number of outputs.
        rates: the four rates of structural mutation, and the bound of growth.
        codes: uint8, the functions that a new node may have.
        uniform: (n, RESTRUCTURE_DRAWS) float32 in [0, 1).
    """
    u = uniform.T[:, :, None]
    functions, sources, targets = (genomes[name].long() for name in ("functions", "sources", "targets"))
    graphs = Graphs(functions, sources, targets, genomes["weights"])
    grows = torch.ones_like(u[0], dtype=torch.bool)
    if rates.max_nodes is not None:
        grows = (functions[:, INPUTS + outputs :] > 0).sum(1, keepdim=True) < rates.max_nodes
    graphs = _add_connection(graphs, outputs, grows & (u[0] < rates.add_connection_rate), u[1], u[2], u[3])
    graphs = _delete_connection(graphs, u[4] < rates.delete_connection_rate, u[5])
    graphs = _add_node(graphs, grows & (u[6] < rates.add_node_rate), u[7], pick(codes, u[8]))
    graphs = _delete_node(graphs, outputs, u[9] < rates.delete_node_rate, u[10])
    # What was taken away becomes zeros in all fields, as the kernel leaves it.
    present = graphs.targets > 0
    return Genomes(
        {
            "functions": graphs.functions.to(torch.uint8),
            "sources": (graphs.sources * present).to(torch.int16),
            "targets": graphs.targets.to(torch.int16),
            "weights": graphs.weights * present,
        }
    )


def _add_connection(graphs: Graphs, outputs: int, fires: Tensor, *uniform: Tensor) -> Graphs:
    """Join any node but an output to any that is no input and would close no cycle."""
    senders = graphs.functions > 0
    senders[:, :INPUTS] = True
    senders[:, INPUTS : INPUTS + outputs] = False
    source, _ = _choose(senders, uniform[0])
    width = senders.shape[1]
    paths = paths_between(graphs.sources, graphs.targets, width)
    ancestors = paths.gather(1, source[:, :, None].expand(-1, -1, width))[:, 0]
    receivers = (graphs.functions > 0) & ~ancestors
    target, _ = _choose(receivers, uniform[1])  # at least the outputs, which have no descendants
    return graphs._replace(
        sources=torch.cat([graphs.sources, source * fires], 1),
        targets=torch.cat([graphs.targets, target * fires], 1),
        weights=torch.cat([graphs.weights, uniform[2] * fires], 1),
    )


def _delete_connection(graphs: Graphs, fires: Tensor, uniform: Tensor) -> Graphs:
    place, _ = _choose(graphs.targets > 0, uniform)
    kept = graphs.targets.gather(1, place) * ~fires
    return graphs._replace(targets=graphs.targets.scatter(1, place, kept))


def _add_node(graphs: Graphs, fires: Tensor, uniform: Tensor, functions: Tensor) -> Graphs:
    """Split a connection in two, both with its weight."""
    place, found = _choose(graphs.targets > 0, uniform)
    fires = fires & found
    node = graphs.functions.shape[1]
    target = graphs.targets.gather(1, place)
    redirected = graphs.targets.scatter(1, place, torch.where(fires, node, target))
    return Graphs(
        torch.cat([graphs.functions, functions * fires], 1),
        torch.cat([graphs.sources, node * fires], 1),
        torch.cat([redirected, target * fires], 1),
        torch.cat([graphs.weights, graphs.weights.gather(1, place) * fires], 1),
    )


def _delete_node(graphs: Graphs, outputs: int, fires: Tensor, uniform: Tensor) -> Graphs:
    """Delete a hidden node with its connections."""
    fixed = INPUTS + outputs
    place, found = _choose(graphs.functions[:, fixed:] > 0, uniform)
    place = place + fixed
    fires = fires & found
    touched = fires & ((graphs.sources == place) | (graphs.targets == place))
    kept = graphs.functions.gather(1, place) * ~fires
    return graphs._replace(
        functions=graphs.functions.scatter(1, place, kept), targets=graphs.targets * ~touched
    )


def pick(codes: Tensor, uniform: Tensor) -> Tensor:
    """Pick one of `codes` by each number in [0, 1)."""
    return codes[(uniform * len(codes)).long().clamp_(max=len(codes) - 1)]


def _choose(mask: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Choose one true entry per row of (n, width) by `uniform` (n, 1) in [0, 1).

    Returns its index, int64 (n, 1), and whether there is one, bool (n, 1); the index is valid in any case.
    """
    ranks = mask.cumsum(1)
    count = ranks[:, -1:]
    rank = (uniform * count).long() + 1
    # Where the product rounds up to the count, the last entry is meant.
    index = torch.searchsorted(ranks, torch.minimum(rank, count))
    return index.clamp_(max=mask.shape[1] - 1), count > 0
