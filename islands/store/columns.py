"""What a store holds as tables: their columns, and what these mean. Imports neither torch, ray nor DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from islands.evolution.checkpoint import Letter
from islands.evolution.scores import HeldOutScores, Scores, told_apart
from islands.store import schema
from islands.store.reader import StoreReader
from islands.store.statistics import images_by_epoch, measure, over_time

Columns = dict[str, npt.NDArray[Any]]

_OPERATORS = f"{', '.join(schema.OPERATORS)}, or the name of an emitter of others"

_STATISTICS = {
    "coverage": "share of the cells that are filled, 0 to 1",
    "qd_score": "sum of the confidences of all cells, 0 to their number; an empty cell counts 0",
    "normalized_qd_score": "qd_score by number of cells, 0 to 1",
    "best": "highest confidence of the filled cells; NaN: all are empty",
    "mean": "mean confidence of the filled cells; NaN: all are empty",
}
"""The fields of `Statistics`."""

_CELL = "which of the cells of its class, counted from 0; 0 where a class has but one"

_ELITE = {
    "confidence": "probability of the class, 0 to 1",
    "fitness": "what insertion compares: confidence, or log-odds",
    "id": "genome id",
    "parent": "genome id of the parent; -1: none",
    "partner": "genome id of the second parent; -1: none",
    "operator": _OPERATORS,
    "island": "island that made the child",
    "epoch": "epoch in which it was made",
    "generation": "generation in which it was made",
}

TABLES: Mapping[str, Mapping[str, str]] = {
    "elites": {
        "run": "run, counted from 0",
        "class": "class whose best elite this is, counted from 0",
        "name": "name of the class",
        **_ELITE,
    },
    "cells": {
        "run": "run, counted from 0",
        "class": "class whose cell the elite holds, counted from 0",
        "name": "name of the class",
        "cell": _CELL,
        "niche": "what `archive.measures` says of the cell: bins in words; empty without measures",
        **_ELITE,
    },
    "history": {
        "run": "run, counted from 0",
        "epoch": "epoch in which the cell was taken",
        "class": "class of the cell",
        "cell": _CELL,
        "id": "genome id",
        "parent": "genome id of the parent; -1: none",
        "partner": "genome id of the second parent; -1: none",
        "operator": _OPERATORS,
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
    "statistics": {
        "run": "run, counted from 0",
        "epoch": "epoch, 0 is generation 0; claims on their way count, as in `runs`",
        "evaluations": "images scored by the end of the epoch",
        **_STATISTICS,
    },
    "scores": {
        "run": "run, counted from 0",
        "class": "class whose cell the elite holds, counted from 0: the target",
        "name": "name of the class",
        "network": "held-out network that was asked; of several of one name, with a part of the fingerprint",
        "fingerprint": "of its weights, preprocessing and precision",
        "target_probability": "its probability of the target, 0 to 1",
        "target_rank": "rank of the target among all classes, 1 for the top",
        "top1": "class that it sees first; -1: its scores were not finite",
        "top1_name": "name of that class",
        "top1_probability": "its probability of that class",
        "id": "genome id of the elite that was scored",
        "epoch": "epoch of the checkpoint that it was an elite of",
        "late": "true where another elite has taken the cell since",
    },
    "runs": {
        "run": "run, counted from 0",
        "evaluations": "images scored",
        "not_finite": "images without finite scores, which were skipped",
        "median_confidence": "over all classes",
        "mean_confidence": "over all classes",
        "cells": "classes that have an elite",
        "cells_50": "classes of 0.5 confidence or more",
        "cells_90": "classes of 0.9 confidence or more",
        "cells_99": "classes of 0.99 confidence or more",
        "cells_9999": "classes of 0.9999 confidence or more",
        **_STATISTICS,
        "changes": "what a resume changed that bits depend on, such as threads, and from which epoch",
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
"""What can be queried: tables, their columns and what these mean. Empty cells have no row in any."""


def network_names(readers: Iterable[StoreReader]) -> dict[str, str]:
    """Return what networks are called by fingerprint, told apart: those evolved against and held-out ones."""
    names: dict[str, str] = {}
    for reader in readers:
        own = {reader.attributes["fingerprint"]: reader.config.network.label}
        names = {**own, **reader.held_out_names(), **names}
    return told_apart(names)


def table(reader: StoreReader, name: str) -> Columns:
    """Return the columns of one of `TABLES`, as equally long arrays."""
    return table_with(network_names([reader]) if name == "scores" else {}, reader, name)


def table_with(networks: Mapping[str, str], reader: StoreReader, name: str) -> Columns:
    """Return the same, with networks called by fingerprint as `network_names` says of several stores."""
    return _scores(reader, networks) if name == "scores" else _MAKERS[name](reader)


def _elites(reader: StoreReader) -> Columns:
    return _stack(reader, _elites_of)


def _elites_of(reader: StoreReader, run: int) -> Columns:
    return _elite_table(reader, run, reader.best_cells(run), {})


def _cells(reader: StoreReader) -> Columns:
    return _stack(reader, _cells_of)


def _cells_of(reader: StoreReader, run: int) -> Columns:
    layout, archive = reader.layout, reader.config.archive
    cells = np.arange(len(reader.classes) * layout.per_class)
    within = (cells % layout.per_class).astype(np.int32)
    niches = np.array([archive.niche(number) for number in range(layout.bins)], object)
    return _elite_table(reader, run, cells, {"cell": within, "niche": niches[within // layout.places]})


def _elite_table(reader: StoreReader, run: int, cells: npt.NDArray[np.intp], where: Columns) -> Columns:
    """Return the elites of `cells`, and `where` they are within their classes."""
    columns = reader.cell_columns(run, *(name for name in schema.ELITES if name != "probabilities"))
    stored = {name: column[cells] for name, column in columns.items()}
    names = np.array(reader.classes, object)
    columns = {
        "class": stored["class"],
        "name": names[stored["class"]],
        **where,
        "confidence": stored["confidence"],
        "fitness": stored["fitness"],
        "id": stored["id"],
        **_parents(stored["parents"]),
        "operator": _operators(reader, stored["operator"]),
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
    rows = reader.history(run)
    first = {name: rows[name] for name in ("epoch", "class")}
    first["cell"] = rows.get("cell", np.zeros(len(rows["class"]), np.int32))
    for name, column in {**first, **rows}.items():
        columns.update(_parents(column) if name == "parents" else {name: column})
    columns["operator"] = _operators(reader, columns["operator"])
    return columns


def _migrations(reader: StoreReader) -> Columns:
    return _stack(reader, _migrations_of)


def _migrations_of(reader: StoreReader, run: int) -> Columns:
    rows = reader.migrations(run)
    return {**rows, "kind": np.array([Letter(kind).name.lower() for kind in range(2)], object)[rows["kind"]]}


def _curves(reader: StoreReader) -> Columns:
    return _stack(reader, _curves_of)


def _curves_of(reader: StoreReader, run: int) -> Columns:
    curves = reader.curves(run)
    epochs, classes = np.indices(curves.shape, np.int32)
    return {"epoch": epochs.ravel(), "class": classes.ravel(), "confidence": curves.ravel()}


def _statistics(reader: StoreReader) -> Columns:
    return _stack(reader, _statistics_of)


def _statistics_of(reader: StoreReader, run: int) -> Columns:
    measured = over_time(reader, run)
    epochs = len(measured.coverage)
    return {
        "epoch": np.arange(epochs, dtype=np.int32),
        "evaluations": np.array(images_by_epoch(reader.config, epochs), np.int64),
        **measured._asdict(),
    }


def _scores(reader: StoreReader, names: Mapping[str, str]) -> Columns:
    # A network may have been scored under two names: its latest scores are those of all its elites.
    stored = sorted(reader.scores(), key=lambda each: max(int(run.epochs.max()) for run in each.runs))
    latest = {each.fingerprint: each for each in stored}
    networks = [replace(each, name=names[fingerprint]) for fingerprint, each in latest.items()]
    return score_columns(reader, sorted(networks, key=lambda each: each.name))


def score_columns(reader: StoreReader, networks: Sequence[HeldOutScores]) -> Columns:
    """Return what held-out networks say of the store's elites, with the columns of the table `scores`."""
    elites = [reader.elite_columns(run, "id")["id"] for run in range(reader.runs)]
    names = np.array(reader.classes, object)
    nobody = HeldOutScores("", {}, "", (Scores.none_yet(len(names)),))
    parts = [
        _scores_of(network, run, scores, elites[run], names)
        for network in networks or [nobody]
        for run, scores in enumerate(network.runs)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _scores_of(
    network: HeldOutScores, run: int, scores: Scores, elites: npt.NDArray[Any], names: npt.NDArray[Any]
) -> Columns:
    columns = {
        "run": np.full(len(names), run, np.int32),
        "class": np.arange(len(names), dtype=np.int32),
        "name": names,
        "network": np.full(len(names), network.name, object),
        "fingerprint": np.full(len(names), network.fingerprint, object),
        "target_probability": scores.target_probability,
        "target_rank": scores.target_rank,
        "top1": scores.top1,
        # -1, for no class, is the last entry.
        "top1_name": np.append(names, [None])[scores.top1],
        "top1_probability": scores.top1_probability,
        "id": scores.ids,
        "epoch": scores.epochs,
        "late": scores.ids != elites,
    }
    return {name: column[scores.ids >= 0] for name, column in columns.items()}


def _runs(reader: StoreReader) -> Columns:
    rows = [_run_of(reader, run) for run in range(reader.runs)]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {
        **columns,
        "run": columns["run"].astype(np.int32),
        "changes": columns["changes"].astype(object),
    }


def changes(conditions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each record of `StoreReader.conditions` but the first: what is other than before."""
    return [
        f"epoch {after['epoch']}: "
        + ", ".join(
            f"{key} {value}" for key, value in after.items() if key != "epoch" and before.get(key) != value
        )
        for before, after in pairwise(conditions)
    ]


def _run_of(reader: StoreReader, run: int) -> dict[str, Any]:
    stored = reader.elite_columns(run, "confidence", "id")
    confidence = stored["confidence"].astype(np.float32)
    filled = np.greater_equal(stored["id"], 0)
    cells = reader.cell_columns(run, "confidence", "id")
    return {
        "run": run,
        "evaluations": reader.evaluations(run),
        "not_finite": reader.not_finite(run),
        "median_confidence": float(np.median(confidence)),
        "mean_confidence": float(confidence.mean(dtype=np.float64)),
        "cells": int(filled.sum()),
        # In float32 on both sides: the float32 that is nearest to 0.9 is below 0.9.
        **{name: int((confidence >= np.float32(least)).sum()) for name, least in schema.THRESHOLDS.items()},
        **measure(cells["confidence"].astype(np.float32), np.greater_equal(cells["id"], 0))._asdict(),
        "changes": "; ".join(changes(reader.conditions)),
    }


def _classes(reader: StoreReader) -> Columns:
    return {"class": np.arange(len(reader.classes), dtype=np.int32), "name": np.array(reader.classes, object)}


def _checkpoints(reader: StoreReader) -> Columns:
    rows = reader.checkpoints()
    return {
        "id": np.array([row.id for row in rows], object),
        "epoch": np.array([row.epoch for row in rows], np.int32),
        # NumPy's times have no zone; all of these are UTC.
        "written_at": np.array([row.written_at.replace(tzinfo=None) for row in rows], "datetime64[us]"),
        "message": np.array([row.message for row in rows], object),
        "median_confidence": np.array([row.median_confidence for row in rows], np.float64),
        "evaluations": np.array([row.evaluations for row in rows], np.int64),
        "tags": np.array([", ".join(row.tags) for row in rows], object),
    }


_MAKERS: Mapping[str, Callable[[StoreReader], Columns]] = {
    "elites": _elites,
    "cells": _cells,
    "history": _history,
    "migrations": _migrations,
    "curves": _curves,
    "statistics": _statistics,
    "runs": _runs,
    "classes": _classes,
    "checkpoints": _checkpoints,
}


def _stack(reader: StoreReader, of_run: Callable[[StoreReader, int], Columns]) -> Columns:
    parts = [of_run(reader, run) for run in range(reader.runs)]
    runs = [np.full(len(part["epoch"]), run, np.int32) for run, part in enumerate(parts)]
    return {
        "run": np.concatenate(runs),
        **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
    }


def _parents(parents: npt.NDArray[Any]) -> Columns:
    return {"parent": parents[:, 0], "partner": parents[:, 1]}


def _operators(reader: StoreReader, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    names: npt.NDArray[Any] = np.array(reader.operators, object)
    return names.take(codes)
