"""What `test_rendering_triton` runs in processes of their own: Triton reads its environment when imported.

`python -m tests.encodings.triton_checks draw` prints how far the kernel, in Triton's interpreter, is from the
tensor operations; `compile` prints how the kernel compiles for a GPU that need not be there.
"""

from __future__ import annotations

import json
import os
import sys

import torch

CASES = [
    ("paper", 1, 28, 2),
    ("paper", 3, 17, 2),
    ("released-code", 3, 17, 2),
    ("paper", 1, 1, 1),
    ("paper", 1, 8, 0),
]
"""Variant, channels, size, genomes."""


def draw() -> list[dict[str, float]]:
    """Draw all cases in both ways, on two instances of the kernel."""
    os.environ["TRITON_INTERPRET"] = "1"
    from islands.encodings import rendering_triton
    from islands.encodings.canvas import Canvas
    from islands.encodings.cppn import CppnEncoding
    from islands.encodings.rendering_torch import render_by_formula
    from islands.encodings.settings import CppnSettings
    from islands.testing import evolved

    rendering_triton._cores = lambda device: 2
    rendering_triton.PROGRAMS_PER_CORE = 1
    found = []
    for variant, channels, size, n in CASES:
        encoding = CppnEncoding(CppnSettings.model_validate({"variant": variant}), channels, size)
        genomes = evolved(encoding, 8, 25).take(torch.arange(n))
        canvas = Canvas.of(encoding.settings, size, size)
        arguments = (genomes, channels, 10.0, canvas, encoding.settings.colour)
        drawn = rendering_triton.render_by_triton(*arguments)
        expected = render_by_formula(*arguments)
        assert drawn.shape == expected.shape
        assert drawn.dtype == expected.dtype
        far = (drawn.int() - expected.int()).abs() > 0
        found.append(
            {"pixels": far.numel(), "different": far.sum().item(), "levels": expected.unique().numel()}
        )
    return found


def compile_for_gpu() -> list[dict[str, int]]:
    """Compile for compute capability 9.0 (H100, H200)."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from islands.encodings.rendering_triton import TILE, WARPS, draw_tiles

    floats, integers = (
        ("scratch", "axis", "unit", "weights"),
        ("steps", "nodes", "functions", "starts", "sources"),
    )
    numbers = ("jobs", "tiles", "size", "width", "connections")
    types = {"images": "*u8", **dict.fromkeys(floats, "*fp32"), **dict.fromkeys(integers, "*i32")}
    types |= dict.fromkeys(numbers, "i32") | dict.fromkeys(("OUTPUTS", "HLS", "TILE"), "constexpr")
    signature = {name: types[name] for name in draw_tiles.arg_names}
    found = []
    for outputs, hls in ((1, False), (3, True)):
        source = ASTSource(draw_tiles, signature, {"OUTPUTS": outputs, "HLS": hls, "TILE": TILE})
        options = {"num_warps": WARPS, "enable_fp_fusion": False}
        made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
        found.append({"bytes": len(made.asm["cubin"]), "fused": made.asm["ptx"].count("fma.rn.f32")})
    return found


if __name__ == "__main__":
    print(json.dumps({"draw": draw, "compile": compile_for_gpu}[sys.argv[1]]()))
