"""A CPPN evaluated pixel by pixel in plain Python: what the renderers are compared with."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from islands.encodings.genomes import Genomes

INPUTS = 4


def evaluate(genomes: Genomes, row: int, x: float, y: float, distance: float, outputs: int) -> list[float]:
    """Return the outputs of genome `row` at one point, in double precision."""
    functions = genomes["functions"][row].tolist()
    edges = list(connections(genomes, row))
    known: dict[int, float] = {0: x, 1: y, 2: distance, 3: 1.0}

    def value(node: int) -> float:
        if node not in known:
            total = sum((20 * gene - 10) * value(source) for source, target, gene in edges if target == node)
            known[node] = activate(functions[node], total)
        return known[node]

    return [value(INPUTS + output) for output in range(outputs)]


def activate(code: int, p: float) -> float:
    """Apply one activation function."""
    if code == 1:
        return math.sin(p)
    if code == 2:
        return math.tanh(p / 2)
    if code == 3:
        return math.exp(-p * p)
    return min(max(p, -3.0), 3.0) / 3


def connections(genomes: Genomes, row: int) -> Iterator[tuple[int, int, float]]:
    """Yield source, target and weight gene of what is present."""
    columns = (genomes[name][row].tolist() for name in ("sources", "targets", "weights"))
    for source, target, gene in zip(*columns, strict=True):
        if target:
            yield source, target, gene


def nodes(genomes: Genomes, row: int, outputs: int) -> set[int]:
    """Return the nodes that are present: inputs, outputs, hidden."""
    functions = genomes["functions"][row].tolist()
    return {i for i, code in enumerate(functions) if i < INPUTS + outputs or code}


def is_acyclic(genomes: Genomes, row: int) -> bool:
    """Take away nodes without incoming connections until nothing changes; a cycle remains."""
    edges = {(source, target) for source, target, _ in connections(genomes, row)}
    while edges:
        targets = {target for _, target in edges}
        kept = {(source, target) for source, target in edges if source in targets}
        if kept == edges:
            return False
        edges = kept
    return True


def image(genomes: Genomes, row: int, outputs: int, size: int) -> npt.NDArray[np.int64]:
    """Draw genome `row` with pixel coordinates and, for colour, HSV: (outputs, size, size), 0..255."""
    pixels = np.zeros((outputs, size, size), np.int64)
    for i in range(size):
        for j in range(size):
            u, v = 2 * j / (size - 1) - 1, 2 * i / (size - 1) - 1
            out = evaluate(genomes, row, j, i, math.hypot(u, v), outputs)
            levels = [math.trunc(abs(value) * 255) for value in out]
            if outputs == 3:
                hue, saturation, value = (level / 255 for level in levels)
                levels = [round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value)]
            pixels[:, i, j] = levels
    return pixels
