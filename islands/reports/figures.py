"""Figures for papers, by matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from islands.errors import InputError
from islands.reports import exchange_figures
from islands.reports.style import COLOURS, INCHES, Width, lines, log_odds, new_figure, shown, styled
from islands.store.genealogy import Genealogy
from islands.store.reader import StoreReader

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ELITES = 40

_NAMED = 300
"""Leaves of a tree that have their names beside them, at most."""


class Kind(NamedTuple):
    """A figure that can be drawn, of one store unless it is to compare several, so many inches wide."""

    summary: str
    draw: Callable[[Sequence[StoreReader], float], Figure]
    is_of_several: bool = False


def draw_figure(readers: Sequence[StoreReader], name: str, width: Width = "single") -> Figure:
    """Draw one of `FIGURES`.

    Args:
        readers: the store; several for a figure that compares them.
        name: of the figure.
        width: in columns of a paper.

    Raises:
        InputError: no figure has that name, or it takes a single store.
        StoreError: a store cannot be read, or has no checkpoint yet.
    """
    if name not in FIGURES:
        listed = "; ".join(f"{known} ({kind.summary})" for known, kind in FIGURES.items())
        raise InputError(f"no figure is called {name!r}; there are {listed}")
    kind = FIGURES[name]
    if len(readers) > 1 and not kind.is_of_several:
        several = ", ".join(known for known, each in FIGURES.items() if each.is_of_several)
        raise InputError(f"got {len(readers)} stores; the figure {name} is of one, expected one of {several}")
    with styled():
        return kind.draw(readers, INCHES[width])


def save_figure(readers: Sequence[StoreReader], name: str, path: Path, width: Width = "single") -> None:
    """Draw one of `FIGURES` and write it; the suffix of `path` says of which kind: pdf, svg or png.

    Raises:
        InputError: see `draw_figure`; or no such suffix can be written.
        StoreError: see `draw_figure`.
    """
    require_suffix(path, ("pdf", "svg", "png"))
    figure = draw_figure(readers, name, width)
    with styled():
        figure.savefig(path, dpi=300)


def require_suffix(path: Path, known: tuple[str, ...]) -> str:
    """Return the suffix of `path` without its dot.

    Raises:
        InputError: it is not in `known`.
    """
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in known:
        raise InputError(f"{path.name} ends in none of {', '.join(f'.{each}' for each in known)}")
    return suffix


def _confidence(readers: Sequence[StoreReader], width: float) -> Figure:
    """Draw the median and quartiles over classes, a line for each run."""
    (reader,) = readers
    figure = new_figure(width, 0.62 * width)
    axes = figure.add_subplot()
    per_epoch = reader.config.evolve.generations_per_epoch
    drawn = []
    for run, style in enumerate(lines(reader.runs)):
        curves = shown(reader.curves(run))
        generations = np.arange(len(curves)) * per_epoch
        lower, median, upper = np.quantile(curves, (0.25, 0.5, 0.75), axis=1)
        axes.plot(generations, median, label=f"run {run}", **style)
        axes.fill_between(generations, lower, upper, color=style["color"], alpha=0.15, linewidth=0)
        drawn += [lower, upper]
    axes.set(xlabel="generation")
    log_odds(axes, "y", np.concatenate(drawn), "confidence (median, quartiles)")
    if reader.runs > 1:
        axes.legend()
    return figure


def _compare(readers: Sequence[StoreReader], width: float) -> Figure:
    """Draw the median over classes and runs of several stores, and the range of their runs."""
    figure = new_figure(width, 0.62 * width)
    axes = figure.add_subplot()
    drawn = []
    for reader, style in zip(readers, lines(len(readers)), strict=True):
        medians = shown([np.median(reader.curves(run), axis=1) for run in range(reader.runs)])
        generations = np.arange(medians.shape[1]) * reader.config.evolve.generations_per_epoch
        axes.plot(generations, np.median(medians, axis=0), label=reader.path.name, **style)
        if reader.runs > 1:
            low, high = medians.min(0), medians.max(0)
            axes.fill_between(generations, low, high, color=style["color"], alpha=0.15, linewidth=0)
        drawn.append(medians.ravel())
    axes.set(xlabel="generation")
    log_odds(axes, "y", np.concatenate(drawn), "median confidence")
    axes.legend()
    return figure


def _classes(readers: Sequence[StoreReader], width: float) -> Figure:
    """Draw the median and the range over runs of every class (paper, section 3.4)."""
    confidence = shown([_best(readers[0], run) for run in range(readers[0].runs)])
    figure = new_figure(width, 0.5 * width)
    axes = figure.add_subplot()
    classes = np.arange(confidence.shape[1])
    axes.vlines(classes, confidence.min(0), confidence.max(0), color="#999999", linewidth=0.6)
    axes.scatter(classes, np.median(confidence, axis=0), s=3 if len(classes) > 100 else 14, color=COLOURS[0])
    axes.set(xlabel="class", xlim=(-1, len(classes)))
    log_odds(axes, "y", confidence)
    return figure


def _histogram(readers: Sequence[StoreReader], width: float) -> Figure:
    reader = readers[0]
    confidence = shown(np.concatenate([_best(reader, run) for run in range(reader.runs)]))
    figure = new_figure(width, 0.62 * width)
    axes = figure.add_subplot()
    odds = np.log(confidence / (1 - confidence))
    edges = np.linspace(min(odds.min(), -1), max(odds.max(), 1), 31)
    axes.hist(confidence, bins=(1 / (1 + np.exp(-edges))).tolist(), color=COLOURS[0])
    axes.set(ylabel="elites")
    log_odds(axes, "x", confidence)
    axes.tick_params(axis="x", rotation=45)
    return figure


def _best(reader: StoreReader, run: int) -> np.ndarray:
    return reader.elite_columns(run, "confidence")["confidence"]


def _elites(readers: Sequence[StoreReader], width: float) -> Figure:
    """Draw the elites of highest confidence of run 0 (paper, figures 1 and 8)."""
    from islands.store.images import render_all

    reader = readers[0]
    stored = reader.elite_columns(0, "confidence", "id")
    order = np.argsort(-stored["confidence"].astype(np.float64), kind="stable")
    best = [int(class_) for class_ in order if stored["id"][class_] >= 0][:_ELITES]
    across = min(4 if width < INCHES["double"] else 8, len(best))
    down = -(-len(best) // across)
    figure = new_figure(width, down * 1.3 * width / across)
    places = figure.subplots(down, across, squeeze=False).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, class_, picture in zip(places, best, render_all(reader, 0, best), strict=False):
        axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        name = reader.classes[class_]
        axes.set_title(name if len(name) <= 16 else f"{name[:14]}…", fontsize=5, pad=2)
    return figure


def _tree(readers: Sequence[StoreReader], width: float) -> Figure:
    """Draw who descends from whom: generations to the right, a colour for each root's family."""
    tree = Genealogy(readers[0], 0).tree()
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
    named = [genome for genome in tree if tree.nodes[genome]["elite"]]
    figure = new_figure(width, max(0.5 * width, leaves * 0.1 if leaves <= _NAMED else 30.0))
    axes = figure.add_subplot()
    for parent, child in tree.edges:
        at, to = tree.nodes[parent]["generation"], tree.nodes[child]["generation"]
        axes.plot(
            (at, at, to),
            (height[parent], height[child], height[child]),
            color=COLOURS[family[child] % len(COLOURS)],
            linewidth=0.6,
        )
    axes.scatter(
        [tree.nodes[genome]["generation"] for genome in named],
        [height[genome] for genome in named],
        s=4,
        color="black",
        zorder=2,
    )
    for genome in named if leaves <= _NAMED else ():
        axes.annotate(
            tree.nodes[genome]["name"][:24],
            (tree.nodes[genome]["generation"], height[genome]),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=5,
            va="center",
        )
    axes.set(xlabel="generation", yticks=[])
    axes.spines["left"].set_visible(False)
    return figure


FIGURES: Mapping[str, Kind] = {
    "confidence": Kind("confidence over generations, median and quartiles over classes", _confidence),
    "compare": Kind("median confidence of several stores", _compare, is_of_several=True),
    "classes": Kind("confidence of every class", _classes),
    "histogram": Kind("how many elites have which confidence", _histogram),
    "elites": Kind("a sheet of the best elites of run 0", _elites),
    "tree": Kind("the phylogeny of run 0, with the names of its elites", _tree),
    "migration": Kind(
        "what islands mailed each other, and what took a place there", exchange_figures.migration
    ),
    "switches": Kind("which class's elites had children that took which class", exchange_figures.switches),
    "transfer": Kind(
        "how many images other networks see as the source network does", exchange_figures.transfer
    ),
}
"""What `islands figure` can draw."""
