"""Which of the ways to draw CPPNs suits a device."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import Tensor

from islands.encodings.canvas import Canvas
from islands.encodings.genomes import Genomes
from islands.encodings.rendering_cpu import render_on_cpu
from islands.encodings.rendering_torch import render_by_formula
from islands.encodings.settings import Colour


class Renderer(Protocol):
    """Draws B genomes: uint8 (B, outputs, size, size), on their device."""

    def __call__(
        self, genomes: Genomes, outputs: int, weight_limit: float, canvas: Canvas, colour: Colour
    ) -> Tensor:
        """Draw; see `render_by_formula`."""
        ...


@cache
def renderer_for(device: torch.device) -> Renderer:
    """Return the numba kernel on CPUs, Triton's on CUDA where Triton is installed, else the formula."""
    if device.type == "cpu":
        return render_on_cpu
    if device.type == "cuda" and find_spec("triton") is not None:
        from islands.encodings.rendering_triton import render_by_triton

        return render_by_triton
    return render_by_formula
