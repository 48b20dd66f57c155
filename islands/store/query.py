"""SQL over a store: DuckDB on columns of numpy. Imports neither torch nor ray."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt

from islands.errors import InputError
from islands.evolution.scores import HeldOutScores, Scores
from islands.store import schema
from islands.store.reader import StoreReader

Columns = dict[str, npt.NDArray[Any]]

TABLES: Mapping[str, Mapping[str, str]] = {
    "elites": {
        "run": "run, counted from 0",
        "class": "class whose cell the elite holds, counted from 0",
        "name": "name of the class",
        "confidence": "probability of the class, 0 to 1",
        "fitness": "what insertion compares: confidence, or log-odds",
        "id": "genome id",
        "parent": "genome id of the parent; -1: none",
        "partner": "genome id of the second parent; -1: none",
        "operator": "random, mutation or crossover",
        "island": "island that made the child",
        "epoch": "epoch in which it was made",
        "generation": "generation in which it was made",
    },
    "history": {
        "run": "run, counted from 0",
        "epoch": "epoch in which the cell was taken",
        "class": "class of the cell",
        "id": "genome id",
        "parent": "genome id of the parent; -1: none",
        "partner": "genome id of the second parent; -1: none",
        "operator": "random, mutation or crossover",
        "island": "island that made the child",
        "generation": "generation in which it was made",
        "claimed": "true where it came by mail from another island",
        "confidence": "probability of the class when the cell was taken",
    },
    "migrations": {
        "run": "run, counted from 0",
        "epoch": "epoch in which it was received",
        "kind": "claim or migrant",
        "sender": "island that sent it",
        "receiver": "island that received it",
        "class": "class of the elite",
        "id": "genome id",
        "confidence": "probability of the class",
        "accepted": "true where it took the cell, or joined the migrants",
    },
    "curves": {
        "run": "run, counted from 0",
        "epoch": "epoch, 0 is generation 0",
        "class": "class, counted from 0",
        "confidence": "probability of the class at the end of the epoch",
    },
    "scores": {
        "run": "run, counted from 0",
        "class": "class whose cell the elite holds, counted from 0: the target",
        "name": "name of the class",
        "network": "held-out network that was asked",
        "target_probability": "its probability of the target, 0 to 1",
        "target_rank": "rank of the target among all classes, 1 for the top",
        "top1": "class that it sees first",
        "top1_name": "name of that class",
        "top1_probability": "its probability of that class",
        "id": "genome id of the elite that was scored",
        "epoch": "epoch of the checkpoint that it was an elite of",
        "late": "true where another elite has taken the cell since",
    },
    "runs": {
        "run": "run, counted from 0",
        "evaluations": "images scored",
        "median_confidence": "over all classes",
        "mean_confidence": "over all classes",
        "cells": "classes that have an elite",
        "cells_50": "classes of 0.5 confidence or more",
        "cells_90": "classes of 0.9 confidence or more",
        "cells_99": "classes of 0.99 confidence or more",
        "cells_9999": "classes of 0.9999 confidence or more",
    },
    "classes": {"class": "class, counted from 0", "name": "name of the class"},
    "checkpoints": {
        "id": "snapshot id, which --at takes",
        "epoch": "epoch, which --at takes",
        "written_at": "time of the commit, UTC",
        "message": "message of the commit",
        "median_confidence": "over all cells of all runs",
        "evaluations": "images scored, all runs together",
        "tags": "names that keep it for good, which --at takes; empty: none",
    },
}
"""What can be queried: tables, their columns and what these mean. Empty cells have no row in `elites`."""

READY: Mapping[str, tuple[str, str]] = {
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
        "the 20 cells that changed hands most often",
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
    the tables of each store are in a schema of the store's name: `"first".elites`.

    Args:
        readers: by the stores' names; see `named`.
        sql: see `query`.
        parquet: a file to which the answer is written as well.

    Raises:
        InputError: the SQL is wrong.
        StoreError: a store cannot be read.
    """
    mentioned = set(re.findall(r"\w+", sql.lower()))
    with duckdb.connect() as connection:
        if parquet is not None:
            connection.execute("set allowed_paths = ?", [[str(parquet)]])
        connection.execute("set enable_external_access = false")
        # Curves can be large: only what the query may need is read.
        for name in TABLES.keys() & mentioned:
            _register(connection, name, readers)
        try:
            *before, last = connection.extract_statements(sql)
            for statement in before:
                connection.execute(statement)
            if parquet is not None:
                target = str(parquet).replace("'", "''")
                connection.execute(f"create temp table answer as {last.query}")
                connection.execute(f"copy answer to '{target}' (format parquet)")
                last = connection.extract_statements("from answer")[0]
            answer = connection.execute(last)
            columns = tuple(column[0] for column in answer.description or ())
            return Table(columns, answer.fetchall())
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


def _register(connection: duckdb.DuckDBPyConnection, name: str, readers: Mapping[str, StoreReader]) -> None:
    if len(readers) == 1:
        (reader,) = readers.values()
        connection.register(name, table(reader, name))
        return
    parts = []
    for store, reader in readers.items():
        connection.register("part", table(reader, name))
        connection.execute(f'create schema if not exists "{store}"')
        connection.execute(f'create table "{store}".{name} as from part')
        parts.append(f"select '{store}' as store, * from \"{store}\".{name}")
    connection.unregister("part")
    connection.execute(f"create view {name} as {' union all by name '.join(parts)}")


def table(reader: StoreReader, name: str) -> Columns:
    """Return the columns of one of `TABLES`, as equally long arrays."""
    return _MAKERS[name](reader)


def _explain(error: duckdb.Error, mentioned: set[str], stores: Collection[str]) -> str:
    reason = str(error).strip().splitlines()[0]
    if isinstance(error, duckdb.CatalogException):
        of = f"; each also of {', '.join(stores)} alone" if len(stores) > 1 else ""
        return f"{reason}; there are tables: {', '.join(TABLES)}{of}"
    if isinstance(error, duckdb.BinderException):
        known = (f"{name} ({', '.join(TABLES[name])})" for name in TABLES if name in mentioned)
        return f"{reason}; there are columns: {'; '.join(known)}"
    return reason


def _elites(reader: StoreReader) -> Columns:
    return _stack(reader, _elites_of)


def _elites_of(reader: StoreReader, run: int) -> Columns:
    stored = reader.elite_columns(run, *(name for name in schema.ELITES if name != "probabilities"))
    names = np.array(reader.classes, object)
    columns = {
        "class": stored["class"],
        "name": names[stored["class"]],
        "confidence": stored["confidence"],
        "fitness": stored["fitness"],
        "id": stored["id"],
        **_parents(stored["parents"]),
        "operator": _operators(stored["operator"]),
        "island": stored["island"],
        "epoch": stored["epoch"],
        "generation": stored["generation"],
    }
    filled = np.greater_equal(stored["id"], 0)
    return {name: column[filled] for name, column in columns.items()}


def _history(reader: StoreReader) -> Columns:
    return _stack(reader, _history_of)


def _history_of(reader: StoreReader, run: int) -> Columns:
    columns: Columns = {}
    for name, column in reader.history(run).items():
        columns.update(_parents(column) if name == "parents" else {name: column})
    columns["operator"] = _operators(columns["operator"])
    return columns


def _migrations(reader: StoreReader) -> Columns:
    return _stack(reader, _migrations_of)


def _migrations_of(reader: StoreReader, run: int) -> Columns:
    rows = reader.migrations(run)
    return {**rows, "kind": np.array(["claim", "migrant"], object)[rows["kind"]]}


def _curves(reader: StoreReader) -> Columns:
    return _stack(reader, _curves_of)


def _curves_of(reader: StoreReader, run: int) -> Columns:
    curves = reader.curves(run)
    epochs, classes = np.indices(curves.shape, np.int32)
    return {"epoch": epochs.ravel(), "class": classes.ravel(), "confidence": curves.ravel()}


def _scores(reader: StoreReader) -> Columns:
    return score_columns(reader, reader.scores())


def score_columns(reader: StoreReader, networks: Sequence[HeldOutScores]) -> Columns:
    """Return what held-out networks say of the store's elites, with the columns of the table `scores`."""
    elites = [reader.elite_columns(run, "id")["id"] for run in range(reader.runs)]
    names = np.array(reader.classes, object)
    parts = [
        _scores_of(network.name, run, scores, elites[run], names)
        for network in networks
        for run, scores in enumerate(network.runs)
    ] or [_scores_of("", 0, Scores.none_yet(len(names)), elites[0], names)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _scores_of(
    network: str, run: int, scores: Scores, elites: npt.NDArray[Any], names: npt.NDArray[Any]
) -> Columns:
    columns = {
        "run": np.full(len(names), run, np.int32),
        "class": np.arange(len(names), dtype=np.int32),
        "name": names,
        "network": np.full(len(names), network, object),
        "target_probability": scores.target_probability,
        "target_rank": scores.target_rank,
        "top1": scores.top1,
        "top1_name": names[scores.top1],
        "top1_probability": scores.top1_probability,
        "id": scores.ids,
        "epoch": scores.epochs,
        "late": scores.ids != elites,
    }
    return {name: column[scores.ids >= 0] for name, column in columns.items()}


def _runs(reader: StoreReader) -> Columns:
    rows = [_run_of(reader, run) for run in range(reader.runs)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _run_of(reader: StoreReader, run: int) -> dict[str, float]:
    stored = reader.elite_columns(run, "confidence", "id")
    confidence = stored["confidence"].astype(np.float32)
    return {
        "run": run,
        "evaluations": reader.evaluations(run),
        "median_confidence": float(np.median(confidence)),
        "mean_confidence": float(confidence.mean(dtype=np.float64)),
        "cells": int(np.greater_equal(stored["id"], 0).sum()),
        **{name: int((confidence >= np.float32(least)).sum()) for name, least in schema.THRESHOLDS.items()},
    }


def _classes(reader: StoreReader) -> Columns:
    return {"class": np.arange(len(reader.classes)), "name": np.array(reader.classes, object)}


def _checkpoints(reader: StoreReader) -> Columns:
    rows = reader.checkpoints()
    return {
        "id": np.array([row.id for row in rows], object),
        "epoch": np.array([row.epoch for row in rows], np.int64),
        "written_at": np.array([row.written_at.replace(tzinfo=None) for row in rows], "datetime64[us]"),
        "message": np.array([row.message for row in rows], object),
        "median_confidence": np.array([row.median_confidence for row in rows], np.float64),
        "evaluations": np.array([row.evaluations for row in rows], np.int64),
        "tags": np.array([", ".join(row.tags) for row in rows], object),
    }


_MAKERS: Mapping[str, Callable[[StoreReader], Columns]] = {
    "elites": _elites,
    "history": _history,
    "migrations": _migrations,
    "curves": _curves,
    "scores": _scores,
    "runs": _runs,
    "classes": _classes,
    "checkpoints": _checkpoints,
}


def _stack(reader: StoreReader, of_run: Callable[[StoreReader, int], Columns]) -> Columns:
    parts = [of_run(reader, run) for run in range(reader.runs)]
    runs = [np.full(len(part["class"]), run, np.int32) for run, part in enumerate(parts)]
    return {
        "run": np.concatenate(runs),
        **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
    }


def _parents(parents: npt.NDArray[Any]) -> Columns:
    return {"parent": parents[:, 0], "partner": parents[:, 1]}


def _operators(codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    names: npt.NDArray[Any] = np.array(schema.OPERATORS, object)
    return names.take(codes)
