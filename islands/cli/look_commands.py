"""`lineage`, `figure`, `report` and `view`: looking at a store."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from islands.cli import completing
from islands.cli.options import At, Class, Force, Json, Store, warn_of_old
from islands.cli.written_files import default_file, require_new
from islands.texts import percent


class Width(StrEnum):
    """Of a figure, in columns of a paper."""

    SINGLE = "single"
    DOUBLE = "double"


Run = Annotated[int, typer.Option("--run", help="Run, counted from 0.")]


def lineage(
    store: Store,
    class_: Class = None,
    run: Run = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="png, svg, pdf, gif, webp, mp4, json; nwk and graphml also without --class.",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", min=1, max=2048, help="Pixels of an animation.", show_default="as scored"),
    ] = None,
    at: At = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Show what an elite descends from, and how often lineages changed their class."""
    from islands.store.classes import find_class
    from islands.store.genealogy import Genealogy
    from islands.store.reader import StoreReader

    reader = StoreReader(store, at)
    index = None if class_ is None else find_class(reader.classes, class_)
    if out is not None:
        require_new(out, force)
        from islands.reports.lineage import save_lineage

        save_lineage(reader, run, index, out, size)
        print(f"wrote {out}")
        return
    genealogy = Genealogy(reader, run)
    switches = genealogy.goal_switches()
    chain = [] if index is None else genealogy.chain(index)
    if as_json:
        from islands.reports.lineage import as_json as ancestor_as_json

        takeovers = int(switches.takeovers.sum())
        # `champions` is the old word for takeovers, and goes with the next release.
        counts = {
            "takeovers": takeovers,
            "goal_switches": int(switches.switches.sum()),
            "champions": takeovers,
        }
        print(json.dumps({"lineage": [ancestor_as_json(each, reader) for each in chain], **counts}))
        return
    for ancestor in chain:
        best = ancestor.held[0]
        others = f", and {len(ancestor.held) - 1} more" if len(ancestor.held) > 1 else ""
        print(
            f"generation {ancestor.generation:>6,}  {ancestor.operator:<9}  island {ancestor.island:>3}  "
            f"{percent(best.confidence):>12}  {best.class_} ({reader.classes[best.class_]}){others}"
        )
    print(
        f"run {run}: {switches.takeovers.sum():,} takeovers, {percent(switches.share)} of them"
        " by children of another class's elite (goal switches)"
    )


def figure(
    store: Store,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="compare, confidence, classes, elites, histogram, migration, switches, transfer or tree.",
            autocompletion=completing.figures,
        ),
    ],
    others: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="STORE", help="For compare: another store; may be repeated."),
    ] = None,
    width: Annotated[Width, typer.Option("--width", help="In columns of a paper.")] = Width.SINGLE,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="pdf, svg or png.", show_default="STORE-NAME.pdf"),
    ] = None,
    at: At = None,
    force: Force = False,
) -> None:
    """Draw a figure for a paper: TrueType fonts, colours that all can tell apart, axes of log-odds."""
    from islands.reports.figures import save_figure
    from islands.store.reader import StoreReader

    if name == "champions":
        warn_of_old("the figure champions", "elites")
        name = "elites"
    readers = [StoreReader(store, at), *map(StoreReader, others or ())]
    file = out or default_file(readers[0], name, suffix="pdf")
    require_new(file, force)
    save_figure(readers, name, file, width.value)
    print(f"wrote {file}")


def report(
    stores: Annotated[
        list[str], typer.Argument(metavar="STORE...", help="The folders of runs, or their s3:// URLs.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The page.", show_default="STORE's name + .html"),
    ] = None,
    at: At = None,
    force: Force = False,
) -> None:
    """Write one HTML file that shows everything; it opens anywhere, offline. Several stores: side by side."""
    from islands.reports.several import names_of, write_several
    from islands.store.reader import StoreReader

    names = names_of(stores)
    readers = {name: StoreReader(store, at) for name, store in zip(names, stores, strict=True)}
    if len(names) == 1:
        from islands.reports.page import write_report

        file = out or default_file(readers[names[0]], suffix="html")
        require_new(file, force)
        size = write_report(readers[names[0]], file)
    else:
        file = out or Path(f"{'-and-'.join(name.replace('/', '-') for name in names[:3])}.html")
        require_new(file, force)
        size = write_several(readers, file)
    print(f"wrote {file}: {size / 1e6:,.1f} MB")


def view(
    store: Store,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 8765,
    host: Annotated[
        str,
        typer.Option("--host", help="The address to listen at; others than loopback need the printed token."),
    ] = "127.0.0.1",
) -> None:
    """Serve the report as a live page: new checkpoints appear by themselves. Ctrl-C ends it."""
    from islands.reports.server import serve

    serve(
        store,
        host,
        port,
        lambda address, state: print(f"serving {store} at {address}  (Ctrl-C ends it)\n{state}", flush=True),
    )
