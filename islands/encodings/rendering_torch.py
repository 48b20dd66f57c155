"""Drawing CPPNs by tensor operations, on any device: the path for accelerators, and the kernel's reference.

All genomes advance together: step k evaluates the k-th node, in topological order, of each of them, over a
chunk of pixels. Sums are elementwise and in storage order, as in the kernel; a matrix product would be free
to choose its order by the size of the batch.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from islands.encodings.canvas import Canvas
from islands.encodings.colour import to_rgb_by_formula
from islands.encodings.genomes import Genomes
from islands.encodings.settings import Colour

INPUTS = 4
CHUNK_FLOATS = 1 << 25


class Step(NamedTuple):
    """One node per genome: index and function (n,), sources and weights of its connections (n, indegree)."""

    nodes: Tensor
    functions: Tensor
    sources: Tensor
    weights: Tensor


def render_by_formula(
    genomes: Genomes, outputs: int, weight_limit: float, canvas: Canvas, colour: Colour
) -> Tensor:
    """Draw B genomes: uint8 (B, outputs, size, size), on their device."""
    size, device = canvas.size, genomes.device
    rows, width = genomes["functions"].shape
    steps = _plan(genomes, weight_limit)
    axis = torch.from_numpy(canvas.axis).to(device)
    unit = torch.from_numpy(canvas.unit).to(device)
    images = torch.empty((rows, outputs, size * size), dtype=torch.uint8, device=device)
    chunk = max(1, CHUNK_FLOATS // max(rows * width, 1))
    for start in range(0, size * size, chunk):
        pixels = torch.arange(start, min(start + chunk, size * size), device=device)
        y, x = pixels // size, pixels % size
        values = torch.zeros((rows, width, len(pixels)), device=device)
        values[:, 0] = axis[x]
        values[:, 1] = axis[y]
        values[:, 2] = (unit[x] * unit[x] + unit[y] * unit[y]).sqrt()
        values[:, 3] = 1
        for step in steps:
            _evaluate(values, step)
        tile = (values[:, INPUTS : INPUTS + outputs].abs().clamp(max=1) * 255).to(torch.uint8)
        if outputs == 3:
            tile = to_rgb_by_formula(tile[..., None], colour)[..., 0]
        images[:, :, start : start + chunk] = tile
    return images.view(rows, outputs, size, size)


def _evaluate(values: Tensor, step: Step) -> None:
    rows = torch.arange(len(values), device=values.device)
    total = torch.zeros_like(values[:, 0])
    for source, weight in zip(step.sources.unbind(1), step.weights.unbind(1), strict=True):
        total += weight[:, None] * values[rows, source]
    values[rows, step.nodes] = _activate(step.functions[:, None], total)


def _activate(code: Tensor, p: Tensor) -> Tensor:
    """Apply the function `code` (n, 1) of each row of `p` (n, pixels)."""
    decay = torch.exp(-p.abs())
    result = torch.where(code == 1, p.sin(), p.clamp(-3, 3) / 3)
    result = torch.where(code == 2, (1 - decay) / (1 + decay) * p.sign(), result)
    return torch.where(code == 3, torch.exp(-p * p), result)


def _plan(genomes: Genomes, weight_limit: float) -> list[Step]:
    """Sort the nodes of every genome, sources first, and list each one's connections in storage order."""
    functions = genomes["functions"].long()
    sources, targets = genomes["sources"].long(), genomes["targets"].long()
    weights = genomes["weights"] * (2 * weight_limit) - weight_limit
    present = functions > 0
    depths = _depths(functions.shape[1], sources, targets)
    order = torch.where(present, depths, functions.shape[1]).argsort(dim=1, stable=True)
    # Genomes with fewer nodes than others evaluate their first node again, to no effect.
    order = torch.where(present.gather(1, order), order, order[:, :1])
    order = order[:, : int(present.sum(1).amax(0)) if len(order) else 0]
    indegrees = torch.zeros_like(functions).scatter_add_(1, targets, torch.ones_like(targets))
    steps = []
    for nodes, indegree in zip(order.T[:, :, None], indegrees.gather(1, order).amax(0).tolist(), strict=True):
        mine = targets == nodes
        edges = (~mine).to(torch.uint8).argsort(dim=1, stable=True)[:, :indegree]
        steps.append(
            Step(
                nodes[:, 0],
                functions.gather(1, nodes)[:, 0],
                sources.gather(1, edges),
                (weights * mine).gather(1, edges),
            )
        )
    return steps


def _depths(width: int, sources: Tensor, targets: Tensor) -> Tensor:
    """Return the longest path from a node without connections to each node: int64 (n, width)."""
    depths = torch.zeros((len(sources), width), dtype=torch.int64, device=sources.device)
    present = (targets > 0).long()
    for _ in range(width):
        deeper = depths.scatter_reduce(1, targets, (depths.gather(1, sources) + 1) * present, "amax")
        if torch.equal(deeper, depths):
            break
        depths = deeper
    return depths
