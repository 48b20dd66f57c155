"""Drawing CPPNs on a GPU: one Triton kernel from programs to RGB bytes.

Each instance of the kernel takes tiles of pixels, a genome at a time, until none is left. It runs the program
of the genome over its tile, converts colours and writes bytes. Values of nodes go through a scratch space of
its own, which all its tiles share, a few megabytes in all: it stays in the caches of the GPU, and no image of
floats ever exists. Operations, and the order of a node's sum, are those of the CPU's kernel, sine and
exponential included (see `elementary`), and nothing is fused: the bytes are the same.

What is checked where: the bytes, in Triton's interpreter on the CPU, against the CPU's kernel; and that it
compiles for compute capabilities 8.0, 9.0 and 10.0 without fused multiply-adds, approximations, spilled
registers or a stack, without a GPU. It has not run on a GPU yet, so `PROGRAMS_PER_CORE` and `TILE` are
estimates; `islands bench` measures it, and `islands doctor` compares its bytes where there is one.

Considered and rejected, by counting operations: node values in registers. Triton cannot index registers with
a number known at run time only, so that each connection would have to select among all nodes: at 32 nodes
some 80 operations a connection and pixel, in place of one load.
"""

from __future__ import annotations

import os
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from islands.encodings import elementary
from islands.encodings.canvas import Canvas
from islands.encodings.genomes import Genomes
from islands.encodings.programs import programs_of
from islands.encodings.settings import Colour

TILE = 256
"""Pixels that an instance draws at a time."""
WARPS = 4
PROGRAMS_PER_CORE = 8
"""Instances for each multiprocessor of the GPU."""
HSV_SECTOR = tl.constexpr(6 / 255)
HLS_SECTOR = tl.constexpr(2 / 60)
# Those of `elementary`, as a kernel can see them.
ROUND, BY_PI, PI_1, PI_2, BY_LN2, LN2_1, LN2_2, LEAST_EXPONENT = (
    tl.constexpr(float(getattr(elementary, name)))
    for name in ("ROUND", "BY_PI", "PI_1", "PI_2", "BY_LN2", "LN2_1", "LN2_2", "LEAST_EXPONENT")
)
S3, S5, S7, S9, S11, E2, E3, E4, E5, E6 = (
    tl.constexpr(float(getattr(elementary, name)))
    for name in ("S3", "S5", "S7", "S9", "S11", "E2", "E3", "E4", "E5", "E6")
)
ROUND_BITS = tl.constexpr(elementary.ROUND_BITS)


def render_by_triton(
    genomes: Genomes, outputs: int, weight_limit: float, canvas: Canvas, colour: Colour
) -> Tensor:
    """Draw B genomes: uint8 (B, outputs, size, size), on their device. Reads nothing back from it."""
    size, device = canvas.size, genomes.device
    rows, width = genomes["functions"].shape
    images = torch.empty((rows, outputs, size, size), dtype=torch.uint8, device=device)
    if rows == 0:
        return images
    programs = programs_of(genomes, outputs, weight_limit)
    axis, unit = canvas.on(device)
    tiles = triton.cdiv(size * size, TILE)
    instances = min(rows * tiles, PROGRAMS_PER_CORE * _cores(device))
    scratch = torch.empty((instances, width, TILE), device=device)
    launch: Any = draw_tiles[(instances,)]
    launch(
        images,
        scratch,
        axis,
        unit,
        *programs,
        rows * tiles,
        tiles,
        size,
        width,
        programs.sources.shape[1],
        OUTPUTS=outputs,
        HLS=colour == "hls",
        TILE=TILE,
        num_warps=WARPS,
        # A fused multiply-add rounds once instead of twice: other bits than the CPU's kernel has.
        enable_fp_fusion=False,
    )
    return images


def _cores(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).multi_processor_count)
    return os.cpu_count() or 1


# What changes from one generation to the next must not make Triton compile again.
@triton.jit(do_not_specialize=["jobs", "width", "connections"])  # type: ignore[untyped-decorator]
def draw_tiles(  # type: ignore[no-untyped-def]
    images,  # uint8 (B, OUTPUTS, size * size)
    scratch,  # float32 (instances, width, TILE)
    axis,  # float32 (size,), see `Canvas`
    unit,
    steps,  # see `Programs`
    nodes,
    functions,
    starts,
    sources,
    weights,
    jobs,  # B * tiles
    tiles,  # in an image
    size,
    width,  # N
    connections,  # C
    OUTPUTS: tl.constexpr,  # noqa: N803
    HLS: tl.constexpr,  # noqa: N803
    TILE: tl.constexpr,  # noqa: N803
):
    """Draw every `num_programs`-th tile."""
    lane = tl.arange(0, TILE)
    instance = tl.program_id(0)
    values = scratch + instance.to(tl.int64) * width * TILE + lane
    for job in range(instance, jobs, tl.num_programs(0)):
        genome = job // tiles
        pixel = (job % tiles) * TILE + lane
        inside = pixel < size * size
        row, column = pixel // size, pixel % size
        x = tl.load(unit + column, mask=inside, other=0.0)
        y = tl.load(unit + row, mask=inside, other=0.0)
        # Threads may be handed other pixels of the tile by each load and store.
        tl.debug_barrier()
        tl.store(values, tl.load(axis + column, mask=inside, other=0.0))
        tl.store(values + TILE, tl.load(axis + row, mask=inside, other=0.0))
        tl.store(values + 2 * TILE, tl.sqrt_rn(x * x + y * y))
        tl.store(values + 3 * TILE, tl.full((TILE,), 1.0, tl.float32))
        tl.debug_barrier()
        for step in range(0, tl.load(steps + genome)):
            place = genome * width + step
            first = tl.load(starts + place + genome)
            last = tl.load(starts + place + genome + 1)
            total = tl.zeros((TILE,), tl.float32)
            for edge in range(first, last):
                source = tl.load(sources + genome * connections + edge)
                weight = tl.load(weights + genome * connections + edge)
                total += weight * tl.load(values + source * TILE)
            result = activate(tl.load(functions + place), total)
            tl.store(values + tl.load(nodes + place) * TILE, result)
            tl.debug_barrier()
        image = images + genome.to(tl.int64) * OUTPUTS * size * size + pixel
        first_byte = quantise(tl.load(values + 4 * TILE))
        if OUTPUTS == 1:
            tl.store(image, first_byte.to(tl.uint8), mask=inside)
        else:
            second_byte = quantise(tl.load(values + 5 * TILE))
            third_byte = quantise(tl.load(values + 6 * TILE))
            red, green, blue = to_rgb(first_byte, second_byte, third_byte, HLS)
            tl.store(image, red, mask=inside)
            tl.store(image + size * size, green, mask=inside)
            tl.store(image + 2 * size * size, blue, mask=inside)


@triton.jit
def activate(code, p):  # type: ignore[no-untyped-def]
    """Apply the function `code`, see `cppn`, to float32 (TILE,)."""
    result = p
    if code == 1:
        result = sine(p)
    elif code == 2:
        decay = exponential(-tl.abs(p))
        size = tl.div_rn(1.0 - decay, 1.0 + decay)
        result = tl.where(p > 0.0, size, -size)
    elif code == 3:
        result = exponential(-p * p)
    else:
        result = tl.div_rn(tl.minimum(tl.maximum(p, -3.0), 3.0), tl.full(p.shape, 3.0, tl.float32))
    return result


@triton.jit
def sine(x):  # type: ignore[no-untyped-def]
    """Return what `elementary.sine` does, to the same bits."""
    total = x * BY_PI + ROUND
    turns = total - ROUND
    r = (x - turns * PI_1) - turns * PI_2
    q = r * r
    magnitude = r + r * q * (S3 + q * (S5 + q * (S7 + q * (S9 + q * S11))))
    sign = total.to(tl.int32, bitcast=True) << 31
    return (magnitude.to(tl.int32, bitcast=True) ^ sign).to(tl.float32, bitcast=True)


@triton.jit
def exponential(x):  # type: ignore[no-untyped-def]
    """Return what `elementary.exponential` does, to the same bits."""
    x = tl.maximum(x, LEAST_EXPONENT)
    total = x * BY_LN2 + ROUND
    power = total - ROUND
    r = (x - power * LN2_1) - power * LN2_2
    series = 1.0 + r * (1.0 + r * (E2 + r * (E3 + r * (E4 + r * (E5 + r * E6)))))
    exponent = (total.to(tl.int32, bitcast=True) - ROUND_BITS + 127) << 23
    return series * exponent.to(tl.float32, bitcast=True)


@triton.jit
def quantise(value):  # type: ignore[no-untyped-def]
    """Return trunc(|value| * 255) as int32."""
    return (tl.minimum(tl.abs(value), 1.0) * 255.0).to(tl.int32)


@triton.jit  # type: ignore[untyped-decorator]
def to_rgb(first, second, third, HLS: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: N803
    """Convert bytes, see `colour`, to uint8 red, green and blue."""
    byte = tl.full(first.shape, 255.0, tl.float32)
    if HLS:
        sector = first.to(tl.float32) * HLS_SECTOR
        sector = tl.where(sector >= 6.0, sector - 6.0, sector)
        light = tl.div_rn(second.to(tl.float32), byte)
        chroma = (1.0 - tl.abs(2.0 * light - 1.0)) * tl.div_rn(third.to(tl.float32), byte)
        red, green, blue = wheel(sector)
        red, green, blue = (
            light + chroma * (red - 0.5),
            light + chroma * (green - 0.5),
            light + chroma * (blue - 0.5),
        )
    else:
        saturation = tl.div_rn(second.to(tl.float32), byte)
        value = tl.div_rn(third.to(tl.float32), byte)
        red, green, blue = wheel(first.to(tl.float32) * HSV_SECTOR)
        red = value * (1.0 - saturation * (1.0 - red))
        green = value * (1.0 - saturation * (1.0 - green))
        blue = value * (1.0 - saturation * (1.0 - blue))
    return as_byte(red), as_byte(green), as_byte(blue)


@triton.jit
def wheel(sector):  # type: ignore[no-untyped-def]
    """Return how much red, green and blue a pure hue has, from its position in sixths of a turn."""
    red = tl.minimum(tl.maximum(tl.abs(sector - 3.0) - 1.0, 0.0), 1.0)
    green = tl.minimum(tl.maximum(2.0 - tl.abs(sector - 2.0), 0.0), 1.0)
    blue = tl.minimum(tl.maximum(2.0 - tl.abs(sector - 4.0), 0.0), 1.0)
    return red, green, blue


@triton.jit
def as_byte(part):  # type: ignore[no-untyped-def]
    """Round float32 in [0, 1] to uint8."""
    return (part * 255.0 + 0.5).to(tl.int32).to(tl.uint8)
