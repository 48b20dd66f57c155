"""SQL over the tables of stores, in DuckDB."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from islands.config.explain import did_you_mean
from islands.errors import InputError
from islands.store.columns import TABLES, network_names, table, table_with
from islands.store.reader import StoreReader

_TYPES = {
    **dict.fromkeys(("run", "class", "cell", "island", "epoch", "generation"), "INTEGER"),
    **dict.fromkeys(("sender", "receiver", "target_rank", "top1"), "INTEGER"),
    **dict.fromkeys(("name", "niche", "operator", "kind", "network", "fingerprint", "top1_name"), "VARCHAR"),
    **dict.fromkeys(("message", "tags", "changes"), "VARCHAR"),
    **dict.fromkeys(("confidence", "fitness", "target_probability", "top1_probability"), "FLOAT"),
    **dict.fromkeys(("id", "parent", "partner", "evaluations", "not_finite"), "BIGINT"),
    **dict.fromkeys(("cells", "cells_50", "cells_90", "cells_99", "cells_9999"), "BIGINT"),
    **dict.fromkeys(("median_confidence", "mean_confidence"), "DOUBLE"),
    **dict.fromkeys(("coverage", "qd_score", "normalized_qd_score", "best", "mean"), "DOUBLE"),
    **dict.fromkeys(("claimed", "accepted", "late"), "BOOLEAN"),
    "written_at": "TIMESTAMP",
}
"""DuckDB's types of columns by name, but for those of `_TYPES_OF`."""

_TYPES_OF = {("checkpoints", "id"): "VARCHAR"}

_REACHING = frozenset({"query", "query_table", "duckdb_tables"})
"""Words of SQL that reach tables whose names do not stand in it, or say how large tables are."""

_RESERVED = frozenset({"temp", "system", "information_schema", "pg_catalog", "memory"})
"""What no schema of a store can be called: DuckDB has schemas or databases of these names."""

_ALL_STORES = "all stores"
"""The schema of the tables that have the rows of several stores."""

PRESETS: Mapping[str, tuple[str, str]] = {
    "best": (
        "the 20 elites of highest confidence",
        "select run, class, name, confidence, generation from elites"
        " order by confidence desc, run, class limit 20",
    ),
    "worst": (
        "the 20 elites of lowest confidence",
        "select run, class, name, confidence, generation from elites"
        " order by confidence, run, class limit 20",
    ),
    "transfer": (
        "how far held-out networks agree with the source network",
        "select network, count(*) as images, avg((top1 = class)::int) as same_class,"
        " avg((target_rank <= 5)::int) as in_top_5, median(target_probability) as median_of_target"
        " from scores group by network order by same_class desc, network",
    ),
    "takeovers": (
        "the 20 classes whose elite changed most often",
        "select run, class, name, count(*) as takeovers, sum(claimed::int) as by_mail,"
        " max(generation) as last_generation, max(history.confidence) as confidence"
        " from history join classes using (class) group by run, class, name"
        " order by takeovers desc, run, class limit 20",
    ),
}
"""Common questions: what they ask, and the SQL."""


class Table(NamedTuple):
    """The answer to a query."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def query(location: Path | str, sql: str, at: str | int | None = None) -> Table:
    """Answer a query in DuckDB's SQL over `TABLES`. Nothing outside the store can be read or changed.

    Args:
        location: of the store.
        sql: one or several statements; the answer is the last one's.
        at: see `StoreReader`.

    Raises:
        InputError: the SQL is wrong.
        StoreError: the store cannot be read.
    """
    return ask({"": StoreReader(location, at)}, sql)


def ask(readers: Mapping[str, StoreReader], sql: str, parquet: Path | None = None) -> Table:
    """Answer a query over several stores.

    Each of `TABLES` has the rows of all stores. With more than one store it has a further column `store`, and
    the tables of each store are in a schema of the store's name, see `schemas`: `"first".elites`. Of several
    columns of one name, the second and further ones get a number: `name`, `name_1`.

    Args:
        readers: by the stores' names; see `named`.
        sql: see `query`.
        parquet: a file to which the answer is written as well.

    Raises:
        InputError: the SQL is wrong.
        StoreError: a store cannot be read.
    """
    with _answering(readers, sql, parquet) as (connection, last):
        if parquet is not None:
            target = str(parquet).replace("'", "''")
            connection.execute(f"create temp table answer as {last.query}")
            connection.execute(f"copy answer to '{target}' (format parquet, use_tmp_file false)")
            last = connection.extract_statements("from answer")[0]
        answer = connection.execute(last)
        columns = _numbered(column[0] for column in answer.description or ())
        return Table(columns, answer.fetchall())


def boxed(readers: Mapping[str, StoreReader], sql: str, width: int, rows: int = 40) -> str:
    """Answer a query as DuckDB's own shell shows it: what does not fit is left out, and counted.

    Args:
        readers: see `ask`.
        sql: see `query`.
        width: characters of a line at most.
        rows: shown at most.

    Raises:
        InputError: the SQL is wrong.
        StoreError: a store cannot be read.
    """
    with _answering(readers, sql) as (connection, last), redirect_stdout(StringIO()) as said:
        answer = connection.query(last.query)
        if answer is not None:  # what sets something answers nothing
            answer.show(max_width=width, max_rows=rows)
        return said.getvalue().rstrip()


@contextmanager
def _answering(
    readers: Mapping[str, StoreReader], sql: str, parquet: Path | None = None
) -> Iterator[tuple[duckdb.DuckDBPyConnection, duckdb.Statement]]:
    """Give a connection with the tables in which all but the last statement are done, and the last."""
    mentioned = set(re.findall(r"\w+", sql.lower()))
    with duckdb.connect() as connection:
        if parquet is not None:
            # First: once external access is off, DuckDB allows no further path.
            connection.execute("set allowed_paths = ?", [[str(parquet)]])
        # This keeps DuckDB from files, and from Python's variables, too: tables are registered by name.
        connection.execute("set enable_external_access = false")
        # Curves can be large: all tables are there, but those alone have rows that the query can reach.
        reached = TABLES.keys() if mentioned & _REACHING else TABLES.keys() & mentioned
        _register(connection, readers, reached)
        try:
            *before, last = connection.extract_statements(sql)
            for statement in before:
                connection.execute(statement)
            yield connection, last
        except duckdb.Error as error:
            raise InputError(_explain(error, mentioned, readers)) from error


def named(locations: Sequence[Path]) -> dict[str, Path]:
    """Name stores by their folders, in SQL's words: `runs/mnist-cppn` is `mnist_cppn`; twins get a number."""
    found: dict[str, Path] = {}
    for location in locations:
        name = base = re.sub(r"\W", "_", location.resolve().name.lower()) or "store"
        twin = 1
        while name in found:
            twin += 1
            name = f"{base}_{twin}"
        found[name] = location
    return found


def schemas(stores: Iterable[str]) -> dict[str, str]:
    """Return the schema of each store: its name, and underscores where DuckDB or another store has that."""
    taken, found = {_ALL_STORES, *_RESERVED}, dict[str, str]()
    for store in stores:
        schema_name = store or "_"
        while schema_name.lower() in taken:
            schema_name += "_"
        taken.add(schema_name.lower())
        found[store] = schema_name
    return found


def _numbered(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of columns, all different, as DuckDB does for the columns of a table."""
    found: dict[str, str] = {}
    for name in names:
        unique, twin = name, 0
        while unique.lower() in found:
            twin += 1
            unique = f"{name}_{twin}"
        found[unique.lower()] = unique
    return tuple(found.values())


def _register(
    connection: duckdb.DuckDBPyConnection, readers: Mapping[str, StoreReader], reached: Collection[str]
) -> None:
    """Make all tables, those that are `reached` with their rows."""
    if len(readers) == 1:
        (reader,) = readers.values()
        for name in TABLES:
            if name in reached:
                connection.register(name, table(reader, name))
            else:
                connection.execute(f"create temp view {name} as {_empty(name)}")
        return
    places = {store: _identifier(name) for store, name in schemas(readers).items()}
    for place in (_identifier(_ALL_STORES), *places.values()):
        connection.execute(f"create schema if not exists {place}")
    names = network_names(readers.values()) if "scores" in reached else {}
    for name in TABLES:
        for store, reader in readers.items():
            rows = _empty(name)
            if name in reached:
                connection.register("part", table_with(names, reader, name))
                rows = "from part"
            # A table and not a view: the next store is registered under the same name.
            connection.execute(f"create table {places[store]}.{name} as {rows}")
        parts = (f"select {_text(store)} as store, * from {place}.{name}" for store, place in places.items())
        union = " union all by name ".join(parts)
        connection.execute(f"create view {_identifier(_ALL_STORES)}.{name} as {union}")
    connection.unregister("part")
    connection.execute(f"set schema = {_text(_identifier(_ALL_STORES))}")


def _empty(name: str) -> str:
    """Return SQL for one of `TABLES` without rows."""
    columns = (f"null::{type_of(name, column)} as {column}" for column in TABLES[name])
    return f"select {', '.join(columns)} limit 0"


def type_of(name: str, column: str) -> str:
    """Return DuckDB's type of a column of one of `TABLES`."""
    return _TYPES_OF.get((name, column)) or _TYPES[column]


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _explain(error: duckdb.Error, mentioned: set[str], stores: Collection[str]) -> str:
    reason = str(error).strip().splitlines()[0]
    if isinstance(error, duckdb.CatalogException):
        listed = ", ".join(map(_identifier, schemas(stores).values()))
        of = f"; each also in the schema of one store: {listed}" if len(stores) > 1 else ""
        near = _near(r"Table with name (\w+)", reason, TABLES)
        return f"{reason}{near}; there are tables: {', '.join(TABLES)}{of}"
    if isinstance(error, duckdb.BinderException):
        of_query = [name for name in TABLES if name in mentioned]
        near = _near(r'column "?(\w+)', reason, [column for name in of_query for column in TABLES[name]])
        known = (f"{name} ({', '.join(TABLES[name])})" for name in of_query)
        return f"{reason}{near}; there are columns: {'; '.join(known)}"
    return reason


def _near(pattern: str, reason: str, known: Iterable[str]) -> str:
    """Ask whether a name was meant that is like the one which DuckDB did not find."""
    found = re.search(pattern, reason)
    return "" if found is None else did_you_mean(found[1], known)
