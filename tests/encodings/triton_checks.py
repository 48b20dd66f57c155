"""What `test_rendering_triton` runs in processes of their own: Triton reads its environment when imported.

`python -m tests.encodings.triton_checks draw` prints in how many bytes the kernel, in Triton's interpreter,
differs from the CPU's; `compile` prints how the kernel compiles for GPUs that need not be there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

CASES = [
    ("paper", 1, 28, 2),
    ("paper", 3, 17, 2),
    ("released-code", 3, 17, 2),
    ("paper", 1, 1, 1),
    ("paper", 1, 8, 0),
]
"""Variant, channels, size, genomes."""


def draw() -> list[dict[str, int]]:
    """Draw all cases by both kernels, the GPU's with two instances."""
    os.environ["TRITON_INTERPRET"] = "1"
    from islands.encodings import rendering_triton
    from islands.encodings.canvas import Canvas
    from islands.encodings.cppn import CppnEncoding
    from islands.encodings.rendering_cpu import render_on_cpu
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
        expected = render_on_cpu(*arguments)
        assert drawn.shape == expected.shape
        assert drawn.dtype == expected.dtype
        different = int((drawn != expected).sum())
        found.append({"different": different, "levels": expected.unique().numel()})
    return found


def compile_for_gpu() -> list[dict[str, int]]:
    """Compile for compute capabilities 8.0 (A100), 9.0 (H100, H200) and 10.0 (B200)."""
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
    for capability in (80, 90, 100):
        for outputs, hls in ((1, False), (3, True)):
            source = ASTSource(draw_tiles, signature, {"OUTPUTS": outputs, "HLS": hls, "TILE": TILE})
            options = {"num_warps": WARPS, "enable_fp_fusion": False}
            made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
            found.append(properties(made.asm["ptx"], made.asm["cubin"]))
    return found


def properties(ptx: str, cubin: bytes) -> dict[str, int]:
    """Count what a compiled kernel must not have."""
    usage = resource_usage(cubin)
    return {
        "bytes": len(cubin),
        # With or without flushing: either rounds once instead of twice.
        "fused": len(re.findall(r"\bfma\.rn\.(?:ftz\.)?f32", ptx)),
        "approximate": len(re.findall(r"\.approx\b|\.ftz\b", ptx)),
        "stack": usage["STACK"],
        "spilled": usage["LOCAL"],
        "registers": usage["REG"],
    }


def resource_usage(cubin: bytes) -> dict[str, int]:
    """Return what NVIDIA's tool, which comes with Triton, says of registers and memory."""
    import triton.backends.nvidia

    tool = Path(triton.backends.nvidia.__file__).parent / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        said = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True)
    # One kernel, and the line that sums up constants before it.
    return {name: int(value) for name, value in re.findall(r"\b(REG|STACK|LOCAL):(\d+)", said.stdout)}


if __name__ == "__main__":
    print(json.dumps({"draw": draw, "compile": compile_for_gpu}[sys.argv[1]]()))
