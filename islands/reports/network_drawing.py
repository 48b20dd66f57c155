"""Draws a CPPN as the network that it is: inputs on the left, outputs on the right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from islands.store.labels import Label, as_text_chunks

INPUTS = ("x", "y", "distance", "1")
FUNCTIONS = ("", "sine", "sigmoid", "Gaussian", "linear")
"""Names of the codes in `islands.encodings.cppn`."""


_EDGES = ("sources", "targets", "weights")


class Node(NamedTuple):
    """One node of the drawing; `layer` counts from 0 at the inputs, `place` runs from 0 (top) to 1."""

    label: str
    layer: int
    place: float
    number: int
    """In the genome."""


class Drawing(NamedTuple):
    """Nodes, and connections as (source, target, weight from -1 to 1) by the nodes' positions in `nodes`."""

    nodes: list[Node]
    connections: list[tuple[int, int, float]]


def lay_out(genome: Mapping[str, npt.NDArray[Any]], channels: int) -> Drawing:
    """Place the nodes of one genome (arrays as in `islands.encodings.cppn`, each (1, width)).

    A node's layer is the longest way to it from an input; outputs share the last layer.
    """
    functions = genome["functions"][0].tolist()
    edges = connections_of(genome)
    sources, targets = edges[0].tolist(), edges[1].tolist()
    weights = (2 * edges[2].astype(np.float64) - 1).tolist()
    first_hidden = len(INPUTS) + channels
    hidden = [node for node in range(first_hidden, len(functions)) if functions[node]]
    incoming: dict[int, list[int]] = {}
    for source, target in zip(sources, targets, strict=True):
        incoming.setdefault(target, []).append(source)
    layers = _layers(hidden, incoming)
    last = max((layers[node] for node in hidden), default=0) + 1
    layers |= dict.fromkeys(range(len(INPUTS)), 0) | dict.fromkeys(range(len(INPUTS), first_hidden), last)
    places = _places(layers, incoming)
    order = sorted(layers)
    position = {node: at for at, node in enumerate(order)}
    outputs = ("grey",) if channels == 1 else ("hue", "saturation", "value")
    labels = (
        dict(enumerate(INPUTS))
        | {node: FUNCTIONS[functions[node]] for node in hidden}
        | {
            len(INPUTS) + at: f"{name}: {FUNCTIONS[functions[len(INPUTS) + at]]}"
            for at, name in enumerate(outputs)
        }
    )
    return Drawing(
        [Node(labels[node], layers[node], places[node], node) for node in order],
        [(position[s], position[t], w) for s, t, w in zip(sources, targets, weights, strict=True)],
    )


def connections_of(genome: Mapping[str, npt.NDArray[Any]]) -> tuple[npt.NDArray[Any], ...]:
    """Return sources, targets and genes of the connections that there are, in the order of the genome."""
    # A stored array may lack trailing zeros: an input's number, or the least weight.
    width = genome["targets"].shape[1]
    rows = [np.pad(genome[name][0], (0, max(0, width - genome[name].shape[1])))[:width] for name in _EDGES]
    present = rows[_EDGES.index("targets")] > 0
    return tuple(row[present] for row in rows)


def draw_network(
    genome: Mapping[str, npt.NDArray[Any]], channels: int, title: str, path: Path, label: Label
) -> None:
    """Write the drawing as an image; its suffix says of which kind: png, which has the label, svg or pdf."""
    from matplotlib.figure import Figure

    drawing = lay_out(genome, channels)
    depth = max(node.layer for node in drawing.nodes)
    crowd = max(np.bincount([node.layer for node in drawing.nodes]))
    figure = Figure(figsize=(max(5.0, 1.5 * (depth + 1)), max(3.0, 0.6 * crowd)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)
    axes.invert_yaxis()
    for source, target, weight in drawing.connections:
        start, end = drawing.nodes[source], drawing.nodes[target]
        axes.plot(
            (start.layer, end.layer),
            (start.place, end.place),
            zorder=1,
            color="#2c7a7b" if weight >= 0 else "#c05621",
            linewidth=0.4 + 2.4 * abs(weight),
            alpha=0.75,
        )
    for node in drawing.nodes:
        axes.text(
            node.layer,
            node.place,
            node.label,
            ha="center",
            va="center",
            fontsize=8,
            zorder=2,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "#555555"},
        )
    axes.margins(0.12)
    texts: dict[str, Any] = (
        {"pil_kwargs": {"pnginfo": as_text_chunks(label)}} if path.suffix.lower() == ".png" else {}
    )
    figure.savefig(path, dpi=150, **texts)


def _layers(hidden: list[int], incoming: Mapping[int, list[int]]) -> dict[int, int]:
    layers: dict[int, int] = {}

    def layer(node: int) -> int:
        if node < len(INPUTS):
            return 0
        if node not in layers:
            layers[node] = 1 + max((layer(source) for source in incoming.get(node, ())), default=0)
        return layers[node]

    for node in hidden:
        layer(node)
    return {node: layers[node] for node in hidden}


def _places(layers: Mapping[int, int], incoming: Mapping[int, list[int]]) -> dict[int, float]:
    """Spread each layer evenly, in the order of the mean place of what its nodes are fed by."""
    places: dict[int, float] = {}
    for number in range(max(layers.values()) + 1):
        members = [node for node in sorted(layers) if layers[node] == number]
        if 0 < number < max(layers.values()):
            members.sort(key=lambda node: _mean([places[s] for s in incoming.get(node, ()) if s in places]))
        for at, node in enumerate(members):
            places[node] = (at + 0.5) / len(members)
    return places


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.5
