"""A prompt for SQL: `islands query STORE --open`."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from islands.errors import InputError

if TYPE_CHECKING:
    from islands.store.reader import StoreReader


def ask_until_done(readers: Mapping[str, StoreReader]) -> None:
    """Read queries, each to its `;`, and show their answers, until the input ends or `.exit` is typed."""
    from islands.store.columns import TABLES
    from islands.store.query import boxed

    if sys.stdin.isatty():
        _complete(sorted({*TABLES, *(column for columns in TABLES.values() for column in columns)}))
        print(f"tables: {', '.join(TABLES)}; end a query with ; and the prompt with Ctrl-D or .exit")
    sql = ""
    while True:
        try:
            line = input(("  ...> " if sql else "islands> ") if sys.stdin.isatty() else "")
        except EOFError:
            if sys.stdin.isatty():
                print()
            return
        except KeyboardInterrupt:
            print()
            sql = ""
            continue
        if not sql and line.strip() in (".exit", ".quit"):
            return
        sql = f"{sql}{line}\n"
        if not line.rstrip().endswith(";"):
            sql = sql if sql.strip() else ""
            continue
        try:
            print(boxed(readers, sql, shutil.get_terminal_size().columns))
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
        sql = ""


def _complete(words: list[str]) -> None:
    """Complete the names of tables and columns with the tabulator, where Python has readline."""
    try:
        import readline
    except ImportError:
        return  # not on Windows; lines are read all the same

    def candidates(text: str, number: int) -> str | None:
        found = [word for word in words if word.startswith(text)]
        return found[number] if number < len(found) else None

    readline.set_completer_delims(re.sub(r"[_]", "", readline.get_completer_delims()))
    readline.set_completer(candidates)
    readline.parse_and_bind("tab: complete")
