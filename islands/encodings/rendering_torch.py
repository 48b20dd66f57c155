"""Drawing CPPNs by tensor operations, on any device: the reference of both kernels, to the same bytes.

It is also how accelerators draw for which there is no Triton.
All genomes advance together: step k evaluates the k-th node, in topological order, of each of them, over a
chunk of pixels. Sums are elementwise and in storage order, as in the kernels; a matrix product would be free
to choose its order by the size of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from islands.encodings.canvas import Canvas
from islands.encodings.colour import rgb_levels, to_rgb_by_formula
from islands.encodings.elementary import exponentials, sines
from islands.encodings.fields import INPUTS
from islands.encodings.genomes import Genomes
from islands.encodings.programs import Programs, programs_of
from islands.encodings.settings import Colour

CHUNK_FLOATS = 1 << 25

Elementwise = Callable[[Tensor], Tensor]


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
    # `amax` refuses a table without rows.
    steps = list(_steps(programs_of(genomes, outputs, weight_limit))) if rows else []
    images = torch.empty((rows, outputs, size * size), dtype=torch.uint8, device=device)
    chunk = max(1, CHUNK_FLOATS // max(rows * width, 1))
    for start in range(0, size * size, chunk):
        pixels = torch.arange(start, min(start + chunk, size * size), device=device)
        values = _inputs(rows, width, canvas, pixels)
        for step in steps:
            _evaluate(values, step, sines, exponentials)
        tile = _levels(values, outputs).to(torch.uint8)
        images[:, :, start : start + chunk] = to_rgb_by_formula(tile, colour) if outputs == 3 else tile
    return images.view(rows, outputs, size, size)


def render_unrounded(
    genomes: Genomes, outputs: int, weight_limit: float, canvas: Canvas, colour: Colour
) -> Tensor:
    """Draw B genomes, at least one, on autograd's tape from their weights.

    Sine and exponential are torch's, which have a gradient and may differ in the last bits.

    Returns:
        float32 (B, outputs, size, size), levels from 0 to 255, on their device.
    """
    size = canvas.size
    rows, width = genomes["functions"].shape
    values = _inputs(rows, width, canvas, torch.arange(size * size, device=genomes.device))
    for step in _steps(programs_of(genomes, outputs, weight_limit)):
        _evaluate(values, step, torch.sin, torch.exp)
    levels = _levels(values, outputs)
    return (rgb_levels(levels, colour) if outputs == 3 else levels).view(rows, outputs, size, size)


def _inputs(rows: int, width: int, canvas: Canvas, pixels: Tensor) -> Tensor:
    """Return the values of all nodes (rows, width, pixels): those of the inputs at `pixels`, and else 0."""
    axis, unit = canvas.on(pixels.device)
    y, x = pixels // canvas.size, pixels % canvas.size
    values = torch.zeros((rows, width, len(pixels)), device=pixels.device)
    values[:, 0] = axis[x]
    values[:, 1] = axis[y]
    values[:, 2] = (unit[x] * unit[x] + unit[y] * unit[y]).sqrt()
    values[:, 3] = 1
    return values


def _levels(values: Tensor, outputs: int) -> Tensor:
    return values[:, INPUTS : INPUTS + outputs].abs().clamp(max=1) * 255


def _evaluate(values: Tensor, step: Step, sine: Elementwise, exponential: Elementwise) -> None:
    rows = torch.arange(len(values), device=values.device)
    total = torch.zeros_like(values[:, 0])
    for source, weight in zip(step.sources.unbind(1), step.weights.unbind(1), strict=True):
        total += weight[:, None] * values[rows, source]
    values[rows, step.nodes] = _activate(step.functions[:, None], total, sine, exponential)


def _activate(code: Tensor, p: Tensor, sine: Elementwise, exponential: Elementwise) -> Tensor:
    """Apply the function `code` (n, 1) of each row of `p` (n, pixels)."""
    decay = exponential(-p.abs())
    result = torch.where(code == 1, sine(p), p.clamp(-3, 3) / 3)
    result = torch.where(code == 2, (1 - decay) / (1 + decay) * p.sign(), result)
    return torch.where(code == 3, exponential(-p * p), result)


def _steps(programs: Programs) -> Iterator[Step]:
    """Yield the steps of all genomes side by side, padded with connections of weight 0.

    A genome that has fewer steps than others goes on with nodes that none of its outputs needs.
    """
    starts = programs.starts.long()
    counts = starts.diff(dim=1)
    # One read for all steps: each makes the host wait.
    length, *indegrees = torch.cat([programs.steps.amax(0, keepdim=True), counts.amax(0)]).tolist()
    last = programs.sources.shape[1] - 1
    for k in range(length):
        offsets = torch.arange(indegrees[k], device=starts.device)
        edges = (starts[:, k, None] + offsets).clamp_(max=last)
        yield Step(
            programs.nodes[:, k].long(),
            programs.functions[:, k],
            programs.sources.gather(1, edges).long(),
            programs.weights.gather(1, edges) * (offsets < counts[:, k, None]),
        )
