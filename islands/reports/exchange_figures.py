"""Figures of what goes from one to another: mail between islands, takeovers between classes, transfer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from islands.errors import InputError
from islands.reports.style import COLOURS, new_figure
from islands.store.columns import table
from islands.store.genealogy import Genealogy
from islands.store.reader import StoreReader
from islands.transfers.measures import rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CLASSES = 24
"""Classes on an axis at most, those with most switches; the others are together in a last one."""


def migration(readers: Sequence[StoreReader], width: float) -> Figure:
    """Draw how many elites each island mailed each other and how many were kept, all runs.

    Raises:
        InputError: nothing was mailed.
    """
    mail = table(readers[0], "migrations")
    if not len(mail["kind"]):
        raise InputError(f"{readers[0].path} has no mail: `islands.count` is 1, or nothing was sent")
    islands = int(max(mail["sender"].max(), mail["receiver"].max())) + 1
    kinds = ("claim", "migrant")
    figure = new_figure(width, 0.58 * width)
    for axes, kind in zip(figure.subplots(1, 2, squeeze=False)[0], kinds, strict=True):
        of_kind = np.asarray(mail["kind"]) == kind
        sent, kept = (np.zeros((islands, islands), np.int64) for _ in range(2))
        for counts, rows in ((sent, of_kind), (kept, of_kind & np.asarray(mail["accepted"], bool))):
            np.add.at(counts, (mail["sender"][rows], mail["receiver"][rows]), 1)
        texts = [
            [f"{k:,}\nof {n:,}" if n else "" for k, n in zip(*rows, strict=True)]
            for rows in zip(kept, sent, strict=True)
        ]
        _matrix(axes, kept, texts if islands <= 6 else None)
        axes.set(title=f"{kind}s that were kept", xlabel="receiver", ylabel="sender")
        axes.set(xticks=range(islands), yticks=range(islands)) if islands <= 16 else None
    return figure


def switches(readers: Sequence[StoreReader], width: float) -> Figure:
    """Draw which class's elites had children that took another class: goal switches, from row to column.

    A parent counts for the class that it was surest of. All runs.
    """
    reader = readers[0]
    count = len(reader.classes)
    counts = np.zeros((count, count), np.int64)
    for run in range(reader.runs):
        for source, target in Genealogy(reader, run).switched():
            counts[source, target] += 1
    chosen = np.sort(np.argsort(-(counts.sum(0) + counts.sum(1)), kind="stable")[:_CLASSES])
    names = [reader.classes[class_][:14] for class_ in chosen]
    if count > _CLASSES:
        counts = _grouped(counts, chosen)
        names.append("all others")
    else:
        counts = counts[np.ix_(chosen, chosen)]
    figure = new_figure(width, 0.95 * width)
    axes = figure.add_subplot()
    _matrix(
        axes, counts, [[f"{n:,}" if n else "" for n in row] for row in counts] if len(names) <= 12 else None
    )
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set(
        xlabel="taken class", ylabel="class of the parent", title="takeovers by children of another class"
    )
    return figure


def transfer(readers: Sequence[StoreReader], width: float) -> Figure:
    """Draw the share of elites that each held-out network sees as the source does, with Wilson's intervals.

    Raises:
        InputError: no held-out network has scored the elites.
    """
    reader = readers[0]
    scores = table(reader, "scores")
    networks = list(dict.fromkeys(np.asarray(scores["network"]).tolist()))
    if not networks:
        raise InputError(f"{reader.path} has no scores of held-out networks; `islands score` adds them")
    figure = new_figure(width, 0.5 + 0.42 * len(networks))
    axes = figure.add_subplot()
    seen = {
        "first": np.asarray(scores["top1"]) == np.asarray(scores["class"]),
        "among the first five": np.asarray(scores["target_rank"]) <= 5,
    }
    for place, (label, hits) in enumerate(seen.items()):
        of_network = [hits[np.asarray(scores["network"]) == network] for network in networks]
        rates = [rate(each) for each in of_network]
        share = np.array([rate.value for rate in rates])
        away = [share - [rate.low for rate in rates], [rate.high for rate in rates] - share]
        axes.errorbar(
            100 * share,
            np.arange(len(networks)) + 0.24 * place - 0.12,
            xerr=100 * np.clip(away, 0, None),
            fmt="os"[place],
            color=COLOURS[place],
            markersize=4,
            capsize=2,
            label=label,
        )
    axes.set_yticks(range(len(networks)), networks)
    axes.set(xlim=(-2, 102), ylim=(len(networks) - 0.4, -0.6), xlabel="elites whose class it sees (%)")
    axes.legend(loc="best")
    return figure


def _matrix(axes: Axes, counts: npt.NDArray[np.int64], texts: list[list[str]] | None) -> None:
    """Draw counts as shades, with texts on them where there is room."""
    most = max(1, int(counts.max(initial=0)))
    image = axes.imshow(counts, cmap="Blues", vmin=0, vmax=most)
    for (row, column), count in np.ndenumerate(counts) if texts else ():
        ink = "white" if count > 0.6 * most else "black"
        axes.text(
            column, row, texts[row][column] if texts else "", ha="center", va="center", color=ink, fontsize=6
        )
    if texts is None and axes.figure is not None:
        axes.figure.colorbar(image, ax=axes, shrink=0.8)


def _grouped(counts: npt.NDArray[np.int64], chosen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the counts of the chosen classes, all others together as a last one."""
    group = np.full(len(counts), len(chosen))
    group[chosen] = np.arange(len(chosen))
    grouped = np.zeros((len(chosen) + 1, len(chosen) + 1), np.int64)
    np.add.at(grouped, (group[:, None], group[None, :]), counts)
    return grouped
