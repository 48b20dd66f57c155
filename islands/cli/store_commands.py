"""`query`, `status`, `show`, `export`, `verify`, `tag` and `prune`: what one does with a store."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from islands.cli import completing
from islands.cli.options import Class, Force, Json, TrustNetworks, warn_of_old
from islands.cli.standard_streams import require_encodable
from islands.cli.written_files import class_words, default_file, require_new
from islands.errors import InputError, StoreError, StoreNotFoundError
from islands.texts import islands_command, level, percent

if TYPE_CHECKING:
    from islands.deploy.background import BackgroundRun
    from islands.store.images import Picture
    from islands.store.labels import Label
    from islands.store.query import Table
    from islands.store.reader import StoreReader
    from islands.store.status import Status

Store = Annotated[str, typer.Argument(metavar="STORE", help="The folder of a run, or its s3:// URL.")]
At = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="EPOCH", help="An earlier checkpoint: its epoch, nearest:EPOCH, its tag or id."
    ),
]

_SHOWN = 200

_WATCH_S = 2.0
"""Seconds between two looks at a store that is watched."""


class Format(StrEnum):
    """How a table is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"
    PARQUET = "parquet"


class Order(StrEnum):
    """What comes first on a sheet."""

    CONFIDENCE = "confidence"
    CLASS = "class"
    NAME = "name"
    GENERATION = "generation"


class Layout(StrEnum):
    """What an export looks like."""

    PAPER = "paper"
    FLAT = "flat"
    FOLDER = "folder"
    CELLS = "cells"
    ZARR = "zarr"


def status(
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE",
            help="The folder of a run, one that holds several, an s3:// URL, or http://HOST:8265: jobs.",
        ),
    ],
    as_json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on saying so until nobody writes; Ctrl-C ends it.")
    ] = False,
) -> None:
    """Say where a run stands, and what to do next; of a folder of runs, where each stands."""
    if watch:
        _watch(store, as_json)
        return
    from dataclasses import asdict

    from islands.deploy import background
    from islands.store.status import read_status

    if store.startswith(("http://", "https://")):
        _print_jobs(store, as_json)
        return
    started = background.recall(store)
    job = _job(started) if started is not None and started.address is not None else None
    try:
        found = read_status(store)
    except StoreNotFoundError:
        # The store of a job may lie where only the cluster sees it.
        if job is None:
            if not Path(store).is_dir():
                raise
            _print_folder(Path(store), as_json)
            return
        print(json.dumps({"store": store, "job": job}) if as_json else _job_text(store, job))
        return
    if as_json:
        print(json.dumps({**asdict(found), "settings": _unlike_defaults(store), "job": job}))
    else:
        print("\n".join([_status_text(found), *([_job_text(store, job)] if job else [])]))


def _watch(store: str, as_json: bool) -> None:
    """Draw the status of a store anew until nobody writes it any more."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from islands.store.status import read_status

    if as_json or store.startswith(("http://", "https://")):
        raise InputError("--watch is for a store and for people; `islands view` and --json are for programs")
    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            found = read_status(store)
            live.update(Text(_status_text(found)), refresh=True)
            if found.written_by is None:
                return
            time.sleep(_WATCH_S)


def _unlike_defaults(store: str) -> dict[str, Any]:
    from islands.experiments.configure import unlike_defaults
    from islands.store.reader import StoreReader

    return unlike_defaults(StoreReader(store).config)


def _print_folder(folder: Path, as_json: bool) -> None:
    """Print a line for each store in a folder; one that cannot be read says why in its place."""
    from dataclasses import asdict

    from islands.store.query import Table
    from islands.store.status import read_status, stores_in

    stores = stores_in(folder)
    if not stores:
        raise StoreNotFoundError(f"{folder} is no store, and there is none in it")
    found: list[Status | str] = []
    for each in stores:
        try:
            found.append(read_status(each))
        except StoreError as error:
            found.append(str(error).partition("\n")[0])
    names = [str(each.relative_to(folder)) for each in stores]
    if as_json:
        rows = [
            {"store": str(store), "error": status} if isinstance(status, str) else asdict(status)
            for store, status in zip(stores, found, strict=True)
        ]
        print(json.dumps(rows))
        return
    head = ("name", "network", "epoch", "images", "median", f"at {level(0.9)}", "state")
    _print_aligned(Table(head, [_folder_row(*each) for each in zip(names, found, strict=True)]))


def _folder_row(name: str, found: Status | str) -> tuple[str, ...]:
    if isinstance(found, str):
        return (name, "", "", "", "", "", f"cannot be read: {found}")
    return (
        name,
        found.network,
        f"{0 if found.epoch is None else found.epoch} of {found.epochs}",
        f"{found.evaluations:,}",
        "" if found.epoch is None else percent(found.median_confidence),
        f"{found.cells_at['cells_90']:,} of {found.cells:,}",
        _state(found),
    )


def _state(found: Status) -> str:
    return "complete" if found.complete else "running" if found.written_by else "stopped"


def _print_jobs(address: str, as_json: bool) -> None:
    from dataclasses import asdict

    from islands.deploy.jobs import jobs
    from islands.store.query import Table

    found = [asdict(job) for job in jobs(address)]
    if as_json:
        print(json.dumps(found))
    else:
        columns = ("id", "state", "started", "store")
        _print_aligned(Table(columns, [tuple(job[name] for name in columns) for job in found]))


def _job(started: BackgroundRun) -> dict[str, str | None]:
    """Return what the server says of a job, or why it says nothing."""
    from islands.deploy.jobs import job_of

    try:
        job = job_of(started)
        state, message = (job.state, job.message) if job else ("forgotten", "the server has no such job")
    except InputError as error:
        state, message = "unknown", str(error)
    return {"id": started.job, "address": started.address, "state": state, "message": message}


def _job_text(store: str, job: dict[str, str | None]) -> str:
    rows = {
        "job": f"{job['id']} at {job['address']}: {job['state']}",
        "": job["message"],
        "log": islands_command("logs", store, "--follow"),
    }
    return "\n".join(f"{name:<15}{value}" for name, value in rows.items())


def query(
    words: Annotated[
        list[str],
        typer.Argument(metavar="STORE... SQL", help="One store or more, and a query in DuckDB's SQL."),
    ],
    format_: Annotated[Format, typer.Option("--format", help="How to print the answer.")] = Format.TABLE,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where --format parquet goes.")
    ] = None,
    at: At = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="Ask best, worst, transfer or takeovers, without SQL.",
            autocompletion=completing.presets,
        ),
    ] = None,
    ready: Annotated[str | None, typer.Option("--ready", hidden=True)] = None,
    schema: Annotated[bool, typer.Option("--schema", help="List tables and columns instead.")] = False,
    open_: Annotated[
        bool, typer.Option("--open", help="Open a prompt instead: one query after the other.")
    ] = False,
    force: Force = False,
) -> None:
    """Ask runs in SQL: "select class, name, confidence from elites where confidence > 0.99".

    Of several stores, each table has all rows and a column `store`; each store's own tables are in a schema
    of its folder's name, such as mnist_cppn.elites; `temp` and other names of DuckDB's own get an underscore.
    A second column `name` of an answer is called `name_1`.
    """
    from islands.store.columns import TABLES
    from islands.store.query import PRESETS, Table, ask, boxed

    if ready is not None:
        warn_of_old("--ready", "--preset")
        preset = ready
    if schema:
        rows = [(name, column, text) for name, columns in TABLES.items() for column, text in columns.items()]
        _print_table(Table(("table", "column", "meaning"), rows), format_)
        return
    if (format_ is Format.PARQUET) != (out is not None):
        raise InputError("--format parquet and --out FILE go together: a Parquet file is not for a terminal")
    if out is not None:
        require_new(out, force)
    if preset is not None and preset not in PRESETS:
        known = ", ".join(f"{name} ({text})" for name, (text, _) in PRESETS.items())
        raise InputError(f"no query is called {preset!r}; there are {known}")
    if open_:
        if preset is not None or out is not None:
            raise InputError("--open asks for queries; leave out --preset and --out")
        from islands.cli.prompt import ask_until_done

        ask_until_done(_readers(words, at))
        return
    *stores, sql = (*words, PRESETS[preset][1]) if preset else words
    if not stores or (" " not in sql and Path(sql).is_dir()):
        raise InputError(
            f"a query is missing; `{islands_command('query', words[0], '--schema')}` lists what can be asked,"
            f" `{islands_command('query', words[0], '--preset', 'best')}` asks a common question"
        )
    readers = _readers(stores, at)
    if format_ is Format.TABLE and sys.stdout.isatty():
        print(boxed(readers, sql, shutil.get_terminal_size().columns))
        return
    answer = ask(readers, sql, out)
    if out is None:
        _print_table(answer, format_)
    else:
        print(f"wrote {out}: {len(answer.rows):,} rows")


def _readers(stores: Sequence[str], at: str | None) -> dict[str, StoreReader]:
    """Open stores, by the names that they have in SQL."""
    from islands.store.query import named
    from islands.store.reader import StoreReader

    return {name: StoreReader(path, at) for name, path in named(list(map(Path, stores))).items()}


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


def export(
    store: Store,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new or empty folder.")],
    layout: Annotated[
        Layout,
        typer.Option(
            "--layout",
            help="The authors' file names, one folder, a folder per class, that of all cells, or Zarr.",
        ),
    ] = Layout.PAPER,
    at: At = None,
) -> None:
    """Write all images of a run, or all its data as plain Zarr."""
    from islands.store.export import export as write
    from islands.store.reader import StoreReader

    count = write(StoreReader(store, at), out, layout.value)
    print(f"wrote {count} files to {out}")


def verify(
    store: Store,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Elites of each run to score.", show_default="100")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Score every elite.")] = False,
    at: At = None,
    trust_networks: TrustNetworks = False,
    as_json: Json = False,
) -> None:
    """Check the hashes of a store, and that its images score what it says."""
    if all_ and sample is not None:
        raise InputError("give --sample for some elites or --all for every one, not both")
    from dataclasses import asdict

    from islands.runs.verify import SAMPLE
    from islands.runs.verify import verify as check

    found = check(store, None if all_ else sample or SAMPLE, at, trust_networks=trust_networks)
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        print(f"scored {found.elites:,} elites again; largest difference {found.largest_difference:.2g}")
        for line in found.conditions:
            print(f"computed otherwise: {line}")
        for line in found.mismatches:
            print(f"error: {line}", file=sys.stderr)
    if found.mismatches:
        raise typer.Exit(1)


def tag(
    store: Store,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the checkpoint.")],
    at: At = None,
) -> None:
    """Name a checkpoint, so that it is kept whatever `checkpoint.keep` says."""
    from islands.store.reader import StoreReader
    from islands.store.writer import StoreWriter

    reader = StoreReader(store, at)
    if reader.epoch is None:
        raise InputError(f"{store} has no checkpoint yet: there is nothing to tag")
    with StoreWriter.open(store) as writer:
        writer.tag(name, reader.session.snapshot_id)
    print(f"{name} is epoch {reader.epoch} of {store}")


Keep = Annotated[
    int | None, typer.Option("--keep", min=1, help="Newest to keep.", show_default="as configured")
]


def gc(store: Store, keep: Keep = None) -> None:
    """Do what `prune` does, under its old name."""
    warn_of_old("`islands gc`", "`islands prune`")
    prune(store, keep)


def prune(store: Store, keep: Keep = None) -> None:
    """Forget old checkpoints, but for tagged ones, and free their space."""
    from islands.store.reader import StoreReader
    from islands.store.writer import StoreWriter

    reader = StoreReader(store)
    with StoreWriter.open(store) as writer:
        forgotten, freed = writer.collect(keep or reader.config.checkpoint.keep)
    kept = len(StoreReader(store).checkpoints())
    print(f"forgot {forgotten} checkpoints, freed {freed / 1e6:,.1f} MB; {kept} can be read")


def _status_text(found: Status) -> str:
    from rich.filesize import decimal

    from islands.store.schema import THRESHOLDS

    settings = _unlike_defaults(found.store)
    state = _state(found)
    sure = ", ".join(f"{count:,} at {level(THRESHOLDS[name])}" for name, count in found.cells_at.items())
    median, at_start = percent(found.median_confidence), percent(found.median_at_start)
    rows = {
        "store": found.store,
        "experiment": f"{found.pipeline}, fooling {found.network}",
        "state": f"{state}, written by {found.written_by}" if found.written_by else state,
        "epoch": "none yet" if found.epoch is None else str(found.epoch),
        "generations": f"{found.generation:,} of {found.generations:,}",
        "confidence": f"median {median}; generation 0: {at_start}",
        "classes": f"{sure} (of {found.cells:,} in {found.runs} run{'s' if found.runs > 1 else ''})",
        "QD score": f"{found.qd_score:,.2f} of {found.cells}, coverage {percent(found.coverage)}",
        "images scored": f"{found.evaluations:,}"
        + (f", {found.not_finite:,} of them skipped: no finite scores" if found.not_finite else ""),
        "checkpoints": f"{found.checkpoints}, the last {found.last_written or 'not yet'}",
        "size on disk": decimal(found.bytes),
        "computed with": _conditions_text(found.conditions),
        "settings": ", ".join(f"{key}={json.dumps(value)}" for key, value in settings.items())
        or "those of the pipeline",
        "next": found.next,
    }
    return "\n".join(f"{name:<15}{value}" for name, value in rows.items())


def _conditions_text(conditions: Sequence[Mapping[str, Any]]) -> str:
    from islands.store.columns import changes

    first = ", ".join(f"{name} {value}" for name, value in conditions[0].items() if name != "epoch")
    return "; from ".join([first, *changes(conditions)])


def _sheet_options(columns: int | None, *, dark: bool) -> list[object]:
    """Return the options that say how a sheet looks, as `show` takes them."""
    return [*(("--columns", columns) if columns else ()), *(("--dark",) if dark else ())]


def _print_label(file: Path) -> None:
    """Print what a PNG says of itself, with what a terminal might obey escaped: it may be anybody's."""
    from islands.store.labels import read_label

    for keyword, text in read_label(file).items():
        for line, first in zip(text.split("\n"), chain([keyword], repeat("")), strict=False):
            told = f"{first:<15}{line}"
            print("".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in told))


def _save_network(reader: StoreReader, run: int, class_: int, title: str, file: Path, label: Label) -> None:
    from islands.reports.figures import require_suffix
    from islands.reports.network_drawing import draw_network

    if not reader.config.encoding.is_network:
        raise InputError(f"{reader.path} holds {reader.config.encoding.name} images, which are no networks")
    require_suffix(file, ("png", "svg", "pdf"))
    draw_network(reader.genome(run, class_), reader.attributes["image"]["channels"], title, file, label)


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


_GROWTH_MS = 500


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


def _print_blocks(picture: Picture) -> None:
    from rich.console import Console

    from islands.reports.moving import in_blocks

    console = Console(force_terminal=True)
    console.print(in_blocks(picture, min(64, console.width)), end="")


def _print_table(table: Table, format_: Format) -> None:
    if format_ is Format.JSON:
        rows = [dict(zip(table.columns, map(_finite, row), strict=True)) for row in table.rows]
        print(json.dumps(rows, default=str))
    elif format_ is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows(table.rows)
    elif format_ is Format.MARKDOWN:
        for row in (table.columns, ("---",) * len(table.columns), *table.rows):
            print(f"| {' | '.join(_cell(value).replace('|', chr(92) + '|') for value in row)} |")
    else:
        _print_aligned(table)


def _print_aligned(table: Table) -> None:
    shown = [table.columns, *(tuple(map(_cell, row)) for row in table.rows[:_SHOWN])]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(table.rows) > _SHOWN:
        print(f"… {len(table.rows) - _SHOWN:,} more rows; --format csv prints all")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:
    # JSON has no word for infinity.
    return None if isinstance(value, float) and not math.isfinite(value) else value
