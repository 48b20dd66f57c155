"""The transfer report for a terminal, and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from islands.texts import percent
from islands.transfers.measures import CURVE, Entry, Rate, Transfer, names


def as_text(transfer: Transfer) -> str:
    """Return the matrix, the details and the break-down by class."""
    return "\n\n".join(
        [
            "Top-1: images taken for the class that they were evolved for\n"
            + _aligned(_matrix(transfer, "all"), numbers_from=1),
            f"Of images of at least {transfer.threshold:g} on the network evolved against\n"
            + _aligned(_matrix(transfer, "confident"), numbers_from=1),
            _aligned(_details(transfer), numbers_from=3),
            *_classes(transfer),
            "\n".join([f"chance: {percent(transfer.chance)}. {transfer.note}", *transfer.remarks]),
        ]
    )


def draw(transfer: Transfer, file: Path) -> None:
    """Write the matrix, and the curves of success against threshold, in the format that the name ends in."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, rows = names(transfer.targets), _row_names(transfer)
    figure = Figure(figsize=(4 + 2.2 * len(columns), 2.5 + 0.45 * len(rows) + 3), layout="constrained")
    FigureCanvasAgg(figure)
    matrix, *curves = figure.subplot_mosaic(
        [["matrix"] * len(columns), list(map(str, range(len(columns))))],
        height_ratios=[0.5 + 0.4 * len(rows), 3],
    ).values()
    cells = {(entry.source, entry.target): entry for entry in transfer.entries if entry.denominator == "all"}
    values = [[_share(cells.get((row, column))) for column in columns] for row in rows]
    matrix.imshow(np.array(values), vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            if entry := cells.get((row, column)):
                colour = "black" if values[y][x] > 0.6 else "white"
                matrix.text(x, y, _cell(entry), ha="center", va="center", fontsize=7, color=colour)
    matrix.set_xticks(range(len(columns)), columns, fontsize=7)
    matrix.set_yticks(range(len(rows)), rows, fontsize=7)
    matrix.set_title("top-1 on each network (* evolved against)", fontsize=8)
    for axes, column in zip(curves, columns, strict=True):
        for row in rows:
            if entry := cells.get((row, column)):
                axes.plot(CURVE, entry.curve, "--" if entry.kind == "control" else "-", label=row)
        axes.set(xlabel="threshold", ylabel="share of images", ylim=(-0.02, 1.02))
        axes.set_title(column, fontsize=8)
    curves[0].legend(fontsize=6)
    figure.savefig(file, dpi=150)


def _matrix(transfer: Transfer, denominator: str) -> list[list[str]]:
    cells = {(e.source, e.target): e for e in transfer.entries if e.denominator == denominator}
    columns = names(transfer.targets)
    rows = [row for row in _row_names(transfer) if any((row, column) in cells for column in columns)]
    table = [["evolved against", *columns]]
    for row in rows:
        found = [cells.get((row, column)) for column in columns]
        table.append([row, *("not scored" if entry is None else _cell(entry) for entry in found)])
    return table


def _details(transfer: Transfer) -> list[list[str]]:
    heading = ["evolved against", "seen by", "of", "n", "top-5", "≥ 50 %", "≥ 90 %", "≥ 99 %"]
    table = [[*heading, "median", "rank", "area", "AUROC", "FPR95"]]
    for e in transfer.entries:
        if not e.n:
            continue
        shares = [_known(found.value) for found in (e.top5, *e.at.values())]
        seen = [f"{e.detection.auroc:.3f}", percent(e.detection.fpr95)] if e.detection else ["", ""]
        place = [e.source, e.target + "*" * e.own, e.denominator, str(e.n)]
        table.append([*place, *shares, _known(e.median), f"{e.median_rank:g}", f"{e.area:.3f}", *seen])
    return table


def _known(value: float | None) -> str:
    return "" if value is None else percent(value)


def _classes(transfer: Transfer) -> list[str]:
    if not transfer.by_class:
        return []
    table = [["evolved against", "seen by", "classes that never transfer", "dogs and cats", "all others"]]
    for row in transfer.by_class:
        filled = sum(count > 0 for count in row.n)
        listed = f": {', '.join(map(str, row.never))}" if 0 < len(row.never) <= 10 else ""
        groups = ["" if found is None else _rate(found) for found in (row.dogs_and_cats, row.others)]
        table.append([row.source, row.target, f"{len(row.never)} of {filled}{listed}", *groups])
    return [_aligned(table, numbers_from=5)]


def _cell(entry: Entry) -> str:
    return _rate(entry.top1) + "*" * entry.own


def _rate(found: Rate) -> str:
    if found.value is None:
        return "no images"
    return f"{found.k}/{found.n} {percent(found.value)} [{percent(found.low)}, {percent(found.high)}]"


def _share(entry: Entry | None) -> float:
    return float("nan") if entry is None or entry.top1.value is None else entry.top1.value


def _row_names(transfer: Transfer) -> list[str]:
    return list(dict.fromkeys(entry.source for entry in transfer.entries))


def _aligned(table: Sequence[Sequence[str]], numbers_from: int) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place >= numbers_from else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )
