"""`show`: an elite, its network, its ancestors, or many elites on a sheet."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from islands.cli.options import At, Class, Force
from islands.cli.standard_streams import require_encodable
from islands.cli.written_files import class_words, default_file, require_new
from islands.errors import InputError
from islands.texts import islands_command, percent

if TYPE_CHECKING:
    from islands.store.images import Picture
    from islands.store.labels import Label
    from islands.store.reader import StoreReader


_GROWTH_MS = 500


class Order(StrEnum):
    """What comes first on a sheet."""

    CONFIDENCE = "confidence"
    CLASS = "class"
    NAME = "name"
    GENERATION = "generation"


def show(
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE", help="The folder of a run, its s3:// URL, or a PNG of ours: what it says it is."
        ),
    ],
    class_: Class = None,
    run: Annotated[int, typer.Option("--run", help="Run, counted from 0.")] = 0,
    size: Annotated[
        int | None, typer.Option("--size", min=1, max=8192, help="Pixels.", show_default="as scored")
    ] = None,
    sheet: Annotated[bool, typer.Option("--sheet", help="Draw many classes, or all cells of one.")] = False,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="LIST",
            help="For --sheet, such as 0-9,lion.",
            show_default="the best, no genome twice",
        ),
    ] = None,
    sort: Annotated[
        Order | None, typer.Option("--sort", help="For --sheet: what comes first.", show_default="confidence")
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", min=1, help="For --sheet: how many at most.", show_default="24")
    ] = None,
    columns: Annotated[
        int | None, typer.Option("--columns", min=1, help="For --sheet: pictures a row.")
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="For --sheet: on black.")] = False,
    network: Annotated[
        bool, typer.Option("--network", help="Draw the CPPN itself, as a network: png, svg or pdf.")
    ] = False,
    terminal: Annotated[bool, typer.Option("--terminal", help="Draw here, in coloured blocks.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="A png; gif, webp or mp4 animate ancestors, of an elite or of a --sheet.",
            show_default="named after store and class",
        ),
    ] = None,
    at: At = None,
    force: Force = False,
) -> None:
    """Draw an elite, its ancestors, its network, or a contact sheet of many; tell what a PNG of these is."""
    if Path(store).is_file():
        if class_ is not None or out is not None or sheet or network or terminal:
            raise InputError(f"{store} is a file: `{islands_command('show', store)}` tells what it shows")
        _print_label(Path(store))
        return
    if class_ is None and not sheet:
        raise InputError("give --class to draw one elite, or --sheet to draw many")
    if sum((sheet, network, terminal)) > 1:
        raise InputError("give one of --sheet, --network and --terminal")
    if not sheet and (dark or any(each is not None for each in (classes, sort, top, columns))):
        raise InputError("--classes, --sort, --top, --columns and --dark are for --sheet")
    if size is not None and (sheet or network or terminal):
        raise InputError("--size is for one elite, and its ancestors: leave it out here")
    if terminal:
        require_encodable("▀", "pictures")
    from islands.store.classes import find_class
    from islands.store.images import render_elite, save_png
    from islands.store.labels import elite_label, sheet_label, show_command, shown_elites
    from islands.store.reader import StoreReader

    reader = StoreReader(store, at)
    if class_ is None:
        from islands.reports.sheets import contact_sheet

        listed = _listed(reader, run, classes, sort, top)
        file = out or default_file(reader, "sheet", run=run)
        require_new(file, force)
        if file.suffix.lower() in (".gif", ".webp", ".mp4"):
            _save_growth(reader, run, listed, file, columns=columns, dark=dark)
            return
        picture = contact_sheet(reader, listed, run, columns=columns, dark=dark)
        chosen = ",".join(f"index:{each}" for each in listed)
        command = show_command(
            reader, run, "--sheet", "--classes", chosen, *_sheet_options(columns, dark=dark)
        )
        save_png(picture, file, sheet_label(reader, run, shown_elites(reader, run, listed), command))
        print(f"wrote {file}: {len(listed)} classes of run {run}")
        return
    index = find_class(reader.classes, class_)
    if sheet:
        if any(each is not None for each in (classes, sort, top)):
            raise InputError("--classes, --sort and --top are for a --sheet of many classes, without --class")
        file = out or default_file(reader, class_words(reader, index), "cells", run=run)
        require_new(file, force)
        _save_cells(reader, run, index, file, columns=columns, dark=dark)
        return
    picture = render_elite(reader, index, run, size)
    (elite,) = shown_elites(reader, run, [index])
    confidence = percent(float(elite.confidence))
    title = f"class {index} ({reader.classes[index]}), run {run}, confidence {confidence}"
    if terminal:
        _print_blocks(picture)
        print(title)
        return
    kind = ("network",) if network else () if size is None else (size,)
    file = out or default_file(reader, class_words(reader, index), *kind, run=run)
    require_new(file, force)
    options = ("--network",) if network else () if size is None else ("--size", size)
    command = show_command(reader, run, "--class", f"index:{index}", *options)
    label = elite_label(reader, run, elite, command)
    if network:
        _save_network(reader, run, index, title, file, label)
    elif file.suffix.lower() in (".gif", ".webp", ".mp4"):
        from islands.reports.lineage import save_lineage

        save_lineage(reader, run, index, file, size)
    else:
        save_png(picture, file, label)
    print(f"wrote {file}: {title}")


def _listed(
    reader: StoreReader, run: int, classes: str | None, sort: Order | None, top: int | None
) -> list[int]:
    """Return the classes of a sheet: those that were asked for, in their order, or else the best."""
    from islands.reports.sheets import TOP, arrange, choose
    from islands.store.classes import find_range

    if classes is None:
        return choose(reader, run, (sort or Order.CONFIDENCE).value, top or TOP)
    listed = find_range(reader.classes, classes)
    return (listed if sort is None else arrange(reader, run, listed, sort.value))[:top]


def _sheet_options(columns: int | None, *, dark: bool) -> list[object]:
    """Return the options that say how a sheet looks, as `show` takes them."""
    return [*(("--columns", columns) if columns else ()), *(("--dark",) if dark else ())]


def _save_growth(
    reader: StoreReader, run: int, classes: Sequence[int], file: Path, *, columns: int | None, dark: bool
) -> None:
    """Write how the elites of `classes` came to be, as an animation of sheets."""
    from islands.reports.growth import growth_sheets
    from islands.reports.moving import save_animation

    filled = reader.elite_columns(run, "id")["id"]
    sheets = growth_sheets(
        reader, [each for each in classes if filled[each] >= 0], run, columns=columns, dark=dark
    )
    save_animation(sheets, file, _GROWTH_MS)
    print(f"wrote {file}: the ancestors of {len(classes)} classes of run {run} in {len(sheets)} steps")


def _save_cells(
    reader: StoreReader, run: int, class_: int, file: Path, *, columns: int | None, dark: bool
) -> None:
    """Draw all cells of a class, and say which is which."""
    from islands.reports.sheets import cell_sheet
    from islands.store.images import save_png
    from islands.store.labels import Shown, sheet_label, show_command

    layout, archive = reader.layout, reader.config.archive
    if layout.per_class == 1:
        raise InputError(f"{reader.path} has one cell for each class: leave out --sheet to draw it")
    stored = reader.cell_columns(run, "confidence", "id")
    elites = [
        Shown(class_, stored["confidence"][cell], int(stored["id"][cell]))
        for cell in layout.of(range(class_, class_ + 1))
        if stored["id"][cell] >= 0
    ]
    options = ("--sheet", "--class", f"index:{class_}", *_sheet_options(columns, dark=dark))
    label = sheet_label(reader, run, elites, show_command(reader, run, *options))
    save_png(cell_sheet(reader, class_, run, columns=columns, dark=dark), file, label)
    print(
        f"wrote {file}: the {layout.per_class} cells of class {class_} ({reader.classes[class_]}), run {run}"
    )
    for bin_ in range(layout.bins if archive.measures else 0):
        first = bin_ * layout.places
        last = "" if layout.places == 1 else f" to {first + layout.places - 1}"
        print(f"  cell {first}{last}: {archive.niche(bin_)}")


def _save_network(reader: StoreReader, run: int, class_: int, title: str, file: Path, label: Label) -> None:
    from islands.reports.figures import require_suffix
    from islands.reports.network_drawing import draw_network

    if not reader.config.encoding.is_network:
        raise InputError(f"{reader.path} holds {reader.config.encoding.name} images, which are no networks")
    require_suffix(file, ("png", "svg", "pdf"))
    draw_network(reader.genome(run, class_), reader.attributes["image"]["channels"], title, file, label)


def _print_blocks(picture: Picture) -> None:
    from rich.console import Console

    from islands.reports.moving import in_blocks

    console = Console(force_terminal=True)
    console.print(in_blocks(picture, min(64, console.width)), end="")


def _print_label(file: Path) -> None:
    """Print what a PNG says of itself, with what a terminal might obey escaped: it may be anybody's."""
    from islands.store.labels import read_label

    for keyword, text in read_label(file).items():
        for line, first in zip(text.split("\n"), chain([keyword], repeat("")), strict=False):
            told = f"{first:<15}{line}"
            print("".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in told))
