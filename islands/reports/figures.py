"""Figures for papers, by matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from islands.errors import InputError
from islands.store.genealogy import Genealogy
from islands.store.reader import StoreReader

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CHAMPIONS = 40


class Kind(NamedTuple):
    """A figure that can be drawn."""

    summary: str
    draw: Callable[[StoreReader], Figure]


def save_figure(reader: StoreReader, name: str, path: Path) -> None:
    """Draw one of `FIGURES` and write it; the suffix of `path` says of which kind: pdf, svg or png.

    Raises:
        InputError: no figure has that name, or no such suffix can be written.
        StoreError: the store cannot be read, or has no checkpoint yet.
    """
    if name not in FIGURES:
        listed = "; ".join(f"{known} ({kind.summary})" for known, kind in FIGURES.items())
        raise InputError(f"no figure is called {name!r}; there are {listed}")
    require_suffix(path, ("pdf", "svg", "png"))
    FIGURES[name].draw(reader).savefig(path, dpi=200)


def require_suffix(path: Path, known: tuple[str, ...]) -> str:
    """Return the suffix of `path` without its dot.

    Raises:
        InputError: it is not in `known`.
    """
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in known:
        raise InputError(f"{path.name} ends in none of {', '.join(f'.{each}' for each in known)}")
    return suffix


def new_figure(width: float = 6.0, height: float = 3.6) -> Figure:
    """Return an empty figure, its sides in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _confidence(reader: StoreReader) -> Figure:
    """Draw the median and quartiles over classes, a line for each run."""
    figure = new_figure()
    axes = figure.add_subplot()
    per_epoch = reader.config.evolve.generations_per_epoch
    for run in range(reader.runs):
        curves = reader.curves(run)
        generations = np.arange(len(curves)) * per_epoch
        lower, median, upper = np.quantile(curves, (0.25, 0.5, 0.75), axis=1)
        (line,) = axes.plot(generations, median, label=f"run {run}", linewidth=1.5)
        axes.fill_between(generations, lower, upper, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set(xlabel="generation", ylabel="confidence (median, quartiles)", ylim=(0, 1.02))
    if reader.runs > 1:
        axes.legend(frameon=False, fontsize=8)
    return figure


def _classes(reader: StoreReader) -> Figure:
    """Draw the median and the range over runs of every class (paper, section 3.4)."""
    confidence = np.stack(
        [reader.elite_columns(run, "confidence")["confidence"] for run in range(reader.runs)]
    ).astype(np.float64)
    figure = new_figure(8.0, 3.2)
    axes = figure.add_subplot()
    classes = np.arange(confidence.shape[1])
    axes.vlines(classes, confidence.min(0), confidence.max(0), color="#b8c4ce", linewidth=0.7)
    axes.scatter(classes, np.median(confidence, axis=0), s=5 if len(classes) > 100 else 24, color="#1f4e79")
    axes.set(xlabel="class", ylabel="confidence", ylim=(-0.02, 1.02), xlim=(-1, len(classes)))
    return figure


def _histogram(reader: StoreReader) -> Figure:
    figure = new_figure()
    axes = figure.add_subplot()
    confidence = np.concatenate(
        [reader.elite_columns(run, "confidence")["confidence"] for run in range(reader.runs)]
    )
    axes.hist(confidence, bins=np.linspace(0, 1, 41).tolist(), color="#1f4e79")
    axes.set(xlabel="confidence", ylabel="elites", xlim=(0, 1))
    return figure


def _champions(reader: StoreReader) -> Figure:
    """Draw the elites of highest confidence of run 0 (paper, figures 1 and 8)."""
    from islands.store.images import render_all

    stored = reader.elite_columns(0, "confidence", "id")
    order = np.argsort(-stored["confidence"].astype(np.float64), kind="stable")
    best = [int(class_) for class_ in order if stored["id"][class_] >= 0][:_CHAMPIONS]
    across = min(8, len(best))
    down = -(-len(best) // across)
    figure = new_figure(across * 1.1, down * 1.35)
    places = figure.subplots(down, across, squeeze=False).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, class_, picture in zip(places, best, render_all(reader, 0, best), strict=False):
        axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        name = reader.classes[class_]
        axes.set_title(name if len(name) <= 18 else f"{name[:16]}…", fontsize=6, pad=2)
    return figure


def _tree(reader: StoreReader) -> Figure:
    """Draw who descends from whom: generations to the right, a colour for each root's family."""
    tree = Genealogy(reader, 0).tree()
    children: dict[int, list[int]] = {genome: [] for genome in tree}
    roots: list[int] = []
    for genome in sorted(tree):
        parents = sorted(tree.predecessors(genome))
        (children[parents[0]] if parents else roots).append(genome)
    height: dict[int, float] = {}
    family: dict[int, int] = {}
    leaves = 0
    for number, root in enumerate(roots):
        family[root] = number
        pending = [root]
        while pending:
            genome = pending.pop()
            height[genome] = leaves
            if not children[genome]:
                leaves += 1
            for child in children[genome]:
                family[child] = number
            pending += reversed(children[genome])
    figure = new_figure(8.0, max(3.0, min(40.0, leaves * 0.06)))
    axes = figure.add_subplot()
    for parent, child in tree.edges:
        at, to = tree.nodes[parent]["generation"], tree.nodes[child]["generation"]
        axes.plot(
            (at, at, to),
            (height[parent], height[child], height[child]),
            color=f"C{family[child] % 10}",
            linewidth=0.6,
        )
    living = [genome for genome in tree if tree.nodes[genome]["elite"]]
    axes.scatter(
        [tree.nodes[genome]["generation"] for genome in living],
        [height[genome] for genome in living],
        s=4,
        color="black",
        zorder=2,
    )
    axes.set(xlabel="generation", yticks=[])
    axes.spines[["left", "top", "right"]].set_visible(False)
    return figure


FIGURES: Mapping[str, Kind] = {
    "confidence": Kind("confidence over generations, median and quartiles over classes", _confidence),
    "classes": Kind("confidence of every class", _classes),
    "histogram": Kind("how many elites have which confidence", _histogram),
    "champions": Kind("a sheet of the best elites of run 0", _champions),
    "tree": Kind("the phylogeny of run 0", _tree),
}
"""What `islands figure` can draw."""
