"""CPPNs made of parts of two, and of one whose coordinates move: tensor operations over a whole batch.

No value is read back on accelerators. Absent nodes and connections may lie anywhere in what is taken and in
what is returned; `pack` takes the gaps out. Where a part of another network is copied, its hidden nodes come
behind the parent's, and what no output needs any more is dropped.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from islands.devices import host_waits
from islands.encodings.fields import INPUTS
from islands.encodings.genomes import Genomes
from islands.encodings.programs import paths_between
from islands.encodings.structure_cpu import mark_needed_rows
from islands.encodings.structure_torch import Graphs

MIDDLE = 0.5
"""The gene of a weight of 0."""

POINT = 1 << 40
"""Sums of weights are made of whole numbers of this many parts: exact, whatever their order."""


def graphs_of(genomes: Genomes) -> Graphs:
    """Return the fields to work on."""
    functions, sources, targets = (genomes[name].long() for name in ("functions", "sources", "targets"))
    return Graphs(functions, sources, targets, genomes["weights"])


def genomes_of(graphs: Graphs, outputs: int) -> Genomes:
    """Return genomes without what no output needs; what is absent is zero in all fields."""
    width = graphs.functions.shape[1]
    wanted = torch.zeros_like(graphs.functions, dtype=torch.bool)
    wanted[:, INPUTS : INPUTS + outputs] = True
    needed = ancestors_of(graphs, wanted)
    needed[:, : INPUTS + outputs] = True
    present = (graphs.targets > 0) & needed.gather(1, graphs.targets.clamp(max=width - 1))
    return Genomes(
        {
            "functions": (graphs.functions * needed).to(torch.uint8),
            "sources": (graphs.sources * present).to(torch.int16),
            "targets": (graphs.targets * present).to(torch.int16),
            "weights": graphs.weights * present,
        }
    )


def ancestors_of(graphs: Graphs, wanted: Tensor) -> Tensor:
    """Say from which nodes a path leads to one that is `wanted` (n, N), themselves included: bool (n, N)."""
    if host_waits(wanted.device):
        paths = paths_between(graphs.sources, graphs.targets, wanted.shape[1])
        return (paths & wanted[:, :, None]).any(1)
    found = wanted.clone()
    mark_needed_rows(graphs.sources.numpy(), graphs.targets.numpy(), found.numpy())
    return found


def exchange(parents: Genomes, partners: Genomes, outputs: int, chosen: Tensor) -> Genomes:
    """Give outputs of a partner to each parent, functions and all that they depend on.

    Args:
        parents: n genomes.
        partners: likewise.
        outputs: the number of outputs.
        chosen: bool (n, outputs), which of them come from the partner.
    """
    own, other = graphs_of(parents), graphs_of(partners)
    fixed = INPUTS + outputs
    received = torch.zeros_like(other.functions, dtype=torch.bool)
    received[:, INPUTS:fixed] = chosen
    part = ancestors_of(other, received)
    functions = own.functions.clone()
    outlets = slice(INPUTS, fixed)
    functions[:, outlets] = torch.where(chosen, other.functions[:, outlets], functions[:, outlets])
    replaced = torch.zeros_like(own.functions, dtype=torch.bool)
    replaced[:, outlets] = chosen
    kept = ~replaced.gather(1, own.targets)
    copied = _copy(other, part, fixed, own.functions.shape[1])
    return genomes_of(
        Graphs(
            torch.cat([functions, copied.functions], 1),
            torch.cat([own.sources * kept, copied.sources], 1),
            torch.cat([own.targets * kept, copied.targets], 1),
            torch.cat([own.weights * kept, copied.weights], 1),
        ),
        outputs,
    )


def displace(
    parents: Genomes, partners: Genomes, outputs: int, chosen: Tensor, axis: Tensor, factor: Tensor
) -> Genomes:
    """Move a coordinate of each parent by `factor` times what one output of its partner is.

    The partner's part reads the coordinates as they were.

    Args:
        parents: n genomes.
        partners: likewise.
        outputs: the number of outputs.
        chosen: int64 (n,), the partner's output.
        axis: int64 (n,), the input that moves.
        factor: float32 (n,).
    """
    own, other = graphs_of(parents), graphs_of(partners)
    fixed, node = INPUTS + outputs, own.functions.shape[1]
    output = INPUTS + chosen[:, None]
    part = ancestors_of(other, one_hot(output[:, 0], other.functions.shape[1]) > 0)
    copied = _copy(other, part, fixed, node + 1)
    # The output becomes a hidden node. No other output is among the nodes copied.
    targets = torch.where((copied.targets >= INPUTS) & (copied.targets < fixed), node, copied.targets)
    reads = (own.sources == axis[:, None]) & (own.targets > 0)
    weights = MIDDLE + (own.weights - MIDDLE) * factor[:, None]
    return genomes_of(
        Graphs(
            torch.cat([own.functions, other.functions.gather(1, output), copied.functions], 1),
            torch.cat([own.sources, node * reads, copied.sources], 1),
            torch.cat([own.targets, own.targets * reads, targets], 1),
            torch.cat([own.weights, weights.clamp(0, 1) * reads, copied.weights], 1),
        ),
        outputs,
    )


def recoordinate(parents: Genomes, outputs: int, matrix: Tensor) -> Genomes:
    """Let each parent read linear combinations of the inputs.

    Connections from inputs become one from each input to each node that reads any: parallel ones add up.

    Args:
        parents: n genomes.
        outputs: the number of outputs.
        matrix: float32 (n, INPUTS, INPUTS); input i becomes the sum of `matrix[:, i, j]` times input j.
    """
    own = graphs_of(parents)
    rows, width = own.functions.shape
    from_input = (own.sources < INPUTS) & (own.targets > 0)
    # Whole numbers: a sum of floats on an accelerator would depend on the order of its threads.
    parts = ((own.weights - MIDDLE).double() * POINT).round().long() * from_input
    places = own.targets * INPUTS + own.sources.clamp(max=INPUTS - 1)
    sums = parts.new_zeros((rows, width * INPUTS)).scatter_add_(1, places, parts)
    before = (sums.double() / POINT).view(rows, width, INPUTS)
    # Elementwise and not a product of matrices, which would be free to choose its order.
    after = (before[:, :, :, None] * matrix[:, None].double()).sum(2)
    reads = (after != 0).flatten(1)
    inputs = torch.arange(INPUTS, device=own.sources.device).repeat(width).expand(rows, -1)
    nodes = torch.arange(width, device=own.sources.device).repeat_interleave(INPUTS).expand(rows, -1)
    weights = (MIDDLE + after.float()).clamp(0, 1).flatten(1)
    others = ~from_input
    return genomes_of(
        Graphs(
            own.functions,
            torch.cat([own.sources * others, inputs * reads], 1),
            torch.cat([own.targets * others, nodes * reads], 1),
            torch.cat([own.weights * others, weights * reads], 1),
        ),
        outputs,
    )


def hidden_nodes(genomes: Genomes, outputs: int) -> Tensor:
    """Return how many hidden nodes there are: int64 (n,)."""
    return (genomes["functions"][:, INPUTS + outputs :] > 0).sum(1)


def pack(genomes: Genomes, nodes: int, connections: int) -> Genomes:
    """Return genomes without gaps, at most so wide; of what does not fit the end is lost.

    What `Encoding.compact` does on the CPU to the width that is needed, without waiting for a device.
    """
    graphs = graphs_of(genomes)
    rows, width = graphs.functions.shape
    there = graphs.functions > 0
    there[:, :INPUTS] = True
    order = (~there).long().argsort(dim=1, stable=True)
    numbers = torch.arange(width, device=order.device).expand(rows, width)
    places = torch.empty_like(order).scatter_(1, order, numbers)
    edges = (graphs.targets == 0).long().argsort(dim=1, stable=True)[:, :connections]
    present = graphs.targets.gather(1, edges) > 0
    sources = places.gather(1, graphs.sources.gather(1, edges)) * present
    targets = places.gather(1, graphs.targets.gather(1, edges)) * present
    return Genomes(
        {
            "functions": graphs.functions.gather(1, order[:, :nodes]).to(torch.uint8),
            "sources": sources.to(torch.int16),
            "targets": targets.to(torch.int16),
            "weights": graphs.weights.gather(1, edges) * present,
        }
    )


def _copy(graphs: Graphs, part: Tensor, fixed: int, start: int) -> Graphs:
    """Return the hidden nodes in `part`, numbered from `start`, and the connections into `part`."""
    moved = torch.arange(part.shape[1], device=part.device)
    moved[fixed:] += start - fixed
    used = (graphs.targets > 0) & part.gather(1, graphs.targets)
    return Graphs(
        graphs.functions[:, fixed:] * part[:, fixed:],
        moved[graphs.sources] * used,
        moved[graphs.targets] * used,
        graphs.weights * used,
    )
