"""The report of several stores: one page that sets them side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from islands.config.changes import differences
from islands.errors import InputError
from islands.reports.page import Embedded, fill, libraries
from islands.reports.scales import evenly
from islands.store.columns import network_names
from islands.store.location import Location
from islands.store.reader import StoreReader
from islands.store.statistics import images_by_epoch

_POINTS = 120
_OF_PLACE = ("store", "loggers", "ray", "workers", "scorers")
"""Where and how a run is made: what it finds does not depend on it."""


def write_several(readers: Mapping[str, StoreReader], path: Path) -> int:
    """Write one page about two stores or more, and return its size in bytes.

    Args:
        readers: by the names that the page has for the stores; see `names_of`.
        path: the file; it is replaced if it exists.

    Raises:
        StoreError: a store cannot be read, or has no checkpoint yet.
        InputError: `path` is a folder.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file for the report, such as {path / 'report.html'}")
    data = collect_several(readers, lambda reader, count: Embedded(reader, count).elites)
    scripts, styles = ("elements", "charts", "elite", "several"), ("page", "several")
    page = fill("several", data["finding"], scripts=scripts, styles=styles, data=data, libraries=libraries())
    return path.write_text(page, encoding="utf-8")


def names_of(locations: Sequence[str]) -> list[str]:
    """Return the name of each store: that of its folder, and its whole path where two folders share one.

    >>> names_of(["runs/first", "runs/second", "old/second"])
    ['first', 'runs/second', 'old/second']

    Raises:
        InputError: the same store twice.
    """
    twice = [each for each, times in Counter(map(str, locations)).items() if times > 1]
    if twice:
        raise InputError(f"{twice[0]} is given twice; expected stores that differ")
    folders = [Location.of(each).name for each in locations]
    return [
        str(location) if folders.count(folder) > 1 else folder
        for location, folder in zip(locations, folders, strict=True)
    ]


Draw = Callable[[Iterable[tuple[int, int]]], list[str]]


def collect_several(
    readers: Mapping[str, StoreReader], pictures: Callable[[StoreReader, int], Draw]
) -> dict[str, Any]:
    """Return all that the page shows.

    Args:
        readers: by the stores' names.
        pictures: of a store and the number of pictures on the page: draws elites, given by run and id.

    Raises:
        StoreError: a store cannot be read, or has no checkpoint yet.
    """
    shared = _shared([reader.classes for reader in readers.values()])
    best = [_best(reader, [places[at] for places in shared]) for at, reader in enumerate(readers.values())]
    count = len(shared) * len(readers)
    drawn = []
    for reader, (_, genomes) in zip(readers.values(), best, strict=True):
        filled = [genome for genome in genomes if genome is not None]
        found = dict(zip(filled, pictures(reader, max(1, count))(filled), strict=True))
        drawn.append([None if genome is None else found[genome] for genome in genomes])
    confidence = np.array([row for row, _ in best]).reshape(len(readers), len(shared))
    first = next(iter(readers.values()))
    return {
        "finding": _finding(list(readers), confidence),
        "stores": [_described(name, reader) for name, reader in readers.items()],
        "curves": [_curve(reader) for reader in readers.values()],
        "classes": [first.classes[places[0]] for places in shared],
        "confidence": confidence.astype(float).tolist(),
        "pictures": drawn,
        "image_size": min(reader.attributes["image"]["size"] for reader in readers.values()),
        "differences": _differences([reader.config.model_dump(mode="json") for reader in readers.values()]),
    }


def _shared(classes: Sequence[Sequence[str]]) -> list[tuple[int, ...]]:
    """Return where in every store each class is that all have: of one name the first, and so on."""
    places: list[dict[tuple[str, int], int]] = []
    for names in classes:
        seen = Counter[str]()
        places.append({})
        for at, name in enumerate(names):
            places[-1][name, seen[name]] = at
            seen[name] += 1
    return [
        tuple(each[key] for each in places) for key in places[0] if all(key in each for each in places[1:])
    ]


def _best(
    reader: StoreReader, classes: Sequence[int]
) -> tuple[npt.NDArray[np.float32], list[tuple[int, int] | None]]:
    """Return the highest confidence of all runs in each class, 0 where none has an elite, and whose it is."""
    columns = [reader.elite_columns(run, "confidence", "id") for run in range(reader.runs)]
    confidence = np.stack([each["confidence"][list(classes)] for each in columns]).astype(np.float32)
    ids = np.stack([each["id"][list(classes)] for each in columns]).astype(np.int64)
    runs = np.where(ids >= 0, confidence, -1).argmax(axis=0)
    at = np.arange(len(classes))
    genomes = [
        (int(run), int(id_)) if id_ >= 0 else None for run, id_ in zip(runs, ids[runs, at], strict=True)
    ]
    return np.where(ids[runs, at] >= 0, confidence[runs, at], 0), genomes


def _finding(names: Sequence[str], confidence: npt.NDArray[np.float32]) -> str:
    if confidence.shape[1] == 0:
        return f"{' and '.join(names)} have no class in common"
    best = confidence.max(axis=0)
    alone = (confidence == best).sum(axis=0) == 1
    wins = ((confidence == best) & alone).sum(axis=1)
    if not wins.any():
        return f"{' and '.join(names)} are equally sure of every class"
    return f"{names[int(wins.argmax())]} is surest in {wins.max():,} of {confidence.shape[1]:,} classes"


def _described(name: str, reader: StoreReader) -> dict[str, Any]:
    generation = reader.generation
    confidence = np.concatenate([reader.confidence(run) for run in range(reader.runs)])
    return {
        "name": name,
        "path": str(reader.path),
        "network": network_names([reader])[reader.attributes["fingerprint"]],
        "encoding": reader.config.encoding.name,
        "runs": reader.runs,
        "classes": len(reader.classes),
        "generation": generation,
        "generations": reader.config.evolve.generations,
        "complete": reader.complete,
        "evaluations": sum(reader.evaluations(run) for run in range(reader.runs)),
        "median": float(np.median(confidence)),
        "at_90": int((confidence >= np.float32(0.9)).sum()),
        "cells": len(confidence),
    }


def _curve(reader: StoreReader) -> dict[str, list[float]]:
    """Return the quartiles over all classes and runs by images, those of one run."""
    curves = np.concatenate([reader.curves(run) for run in range(reader.runs)], axis=1)
    shown = evenly(len(curves), _POINTS)
    quartiles = np.quantile(curves[shown].astype(np.float64), (0.25, 0.5, 0.75), axis=1)
    images = np.array(images_by_epoch(reader.config, len(curves)))[shown]
    names = ("lower", "median", "upper")
    return {"images": images.tolist()} | {
        name: np.round(row, 8).tolist() for name, row in zip(names, quartiles, strict=True)
    }


def _differences(configs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the settings that are not the same everywhere, with the value of each store as text."""
    keys = dict.fromkeys(key for other in configs[1:] for key in differences(configs[0], other))
    return [
        {"key": key, "values": [_text(_value(config, key)) for config in configs]}
        for key in sorted(keys)
        if key.partition(".")[0] not in _OF_PLACE
    ]


def _value(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = config.get(name) if isinstance(config, dict) else None
    return config


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
