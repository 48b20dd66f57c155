"""Tables as commands print them."""

from __future__ import annotations

import csv
import json
import math
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from islands.store.query import Table

_SHOWN = 200


class Format(StrEnum):
    """How a table is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"
    PARQUET = "parquet"


def print_table(table: Table, format_: Format) -> None:
    """Print a whole table; as `Format.TABLE`, its first rows."""
    if format_ is Format.JSON:
        rows = [dict(zip(table.columns, map(_finite, row), strict=True)) for row in table.rows]
        print(json.dumps(rows, default=str))
    elif format_ is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows(table.rows)
    elif format_ is Format.MARKDOWN:
        for row in (table.columns, ("---",) * len(table.columns), *table.rows):
            print(f"| {' | '.join(map(_in_markdown, row))} |")
    else:
        print_aligned(table)


def print_aligned(table: Table) -> None:
    """Print the first rows of a table, their columns aligned, and how many more there are."""
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


def _in_markdown(value: Any) -> str:
    # A cell is one line, and a bar would end it.
    return _cell(value).replace("|", r"\|").replace("\n", "<br>")


def _finite(value: Any) -> Any:
    # JSON has no word for infinity.
    return None if isinstance(value, float) and not math.isfinite(value) else value
