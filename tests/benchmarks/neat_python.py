"""Drawing CPPNs with neat-python, which evaluates a network pixel by pixel, and with Islands.

Both draw the same genomes of 20 hidden nodes on one thread.

    python -m tests.benchmarks.neat_python
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
import numpy.typing as npt
import torch
from neat.nn import FeedForwardNetwork

from islands.bench.machine import population
from islands.encodings.canvas import Canvas
from islands.encodings.cppn import CppnEncoding
from islands.encodings.fields import INPUTS
from islands.encodings.genomes import Genomes
from islands.encodings.programs import programs_of
from islands.encodings.settings import CppnSettings
from tests.encodings.naive import activate

SIZE = 28


def network(genomes: Genomes, row: int) -> FeedForwardNetwork:
    """Return a grey genome as a network of neat-python."""
    programs = programs_of(genomes, 1, 10.0)
    nodes = []
    for step in range(int(programs.steps[row])):
        first, last = programs.starts[row, step : step + 2].tolist()
        links = zip(
            programs.sources[row, first:last].tolist(),
            programs.weights[row, first:last].tolist(),
            strict=True,
        )
        code = int(programs.functions[row, step])
        nodes.append((int(programs.nodes[row, step]), _function(code), sum, 0.0, 1.0, list(links)))
    return FeedForwardNetwork(list(range(INPUTS)), [INPUTS], nodes)


def draw(network: FeedForwardNetwork, canvas: Canvas) -> npt.NDArray[np.uint8]:
    """Draw a network: uint8 (size, size)."""
    pixels = np.empty((canvas.size, canvas.size), np.uint8)
    axis, unit = canvas.axis.tolist(), canvas.unit.tolist()
    for i, (y, v) in enumerate(zip(axis, unit, strict=True)):
        for j, (x, u) in enumerate(zip(axis, unit, strict=True)):
            (value,) = network.activate((x, y, math.hypot(u, v), 1.0))
            pixels[i, j] = int(min(abs(value), 1.0) * 255)
    return pixels


def rates(n: int) -> tuple[float, float, float]:
    """Return images per second of neat-python and of Islands, and the share of bytes that are equal."""
    encoding = CppnEncoding(CppnSettings(), 1, SIZE)
    genomes = population(encoding, n, torch.device("cpu"))
    canvas = Canvas.of(encoding.settings, SIZE, SIZE)
    networks = [network(genomes, row) for row in range(n)]
    started = time.perf_counter()
    theirs = np.stack([draw(each, canvas) for each in networks])
    between = time.perf_counter()
    ours = encoding.render(genomes)[:, 0].numpy()
    ended = time.perf_counter()
    return n / (between - started), n / (ended - between), float((ours == theirs).mean())


def _function(code: int):  # type: ignore[no-untyped-def]
    return lambda p: activate(code, p)


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rates(1)  # compiles
    theirs, ours, equal = rates(arguments.images)
    print(f"neat-python {theirs:,.1f} images/s, islands {ours:,.0f} images/s: {ours / theirs:,.0f} x")
    print(f"{equal:.2%} of the bytes are equal")


if __name__ == "__main__":
    main()
