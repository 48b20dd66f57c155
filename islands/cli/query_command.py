"""`query`: runs, asked in SQL."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from islands.cli import completing
from islands.cli.options import At, Force, warn_of_old
from islands.cli.printed import Format, print_table
from islands.cli.written_files import require_new
from islands.errors import InputError
from islands.texts import islands_command

if TYPE_CHECKING:
    from islands.store.reader import StoreReader


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
        print_table(Table(("table", "column", "meaning"), rows), format_)
        return
    if (format_ is Format.PARQUET) != (out is not None):
        raise InputError("--format parquet and --out FILE go together: a Parquet file is not for a terminal")
    if out is not None:
        require_new(out, force)
    if preset is not None and preset not in PRESETS:
        known = ", ".join(f"{name} ({text})" for name, (text, _) in PRESETS.items())
        raise InputError(f"no query is called {preset!r}; there are {known}")
    if open_:
        if preset is not None or format_ is not Format.TABLE:
            raise InputError("--open asks for queries; leave out --preset and --format")
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
        print_table(answer, format_)
    else:
        print(f"wrote {out}: {len(answer.rows):,} rows")


def _readers(stores: Sequence[str], at: str | None) -> dict[str, StoreReader]:
    """Open stores, by the names that they have in SQL."""
    from islands.store.query import named
    from islands.store.reader import StoreReader

    return {name: StoreReader(path, at) for name, path in named(list(map(Path, stores))).items()}
