"""Copies of a store for those without Islands: images in folders, or a plain Zarr directory."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype

from islands.errors import InputError
from islands.store.classes import folder_name
from islands.store.columns import Columns, table
from islands.store.location import Location
from islands.store.reader import StoreReader
from islands.store.repository import reading, require_schema
from islands.store.waiting import wait_for

Layout = Literal["paper", "flat", "folder", "cells", "zarr"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

MANIFEST = "manifest.json"


class ExportedStore(StoreReader):
    """What the layout `zarr` wrote, read as the checkpoint that it is a copy of; there are no others.

    Raises:
        StoreVersionError: another schema version.
        StoreDamagedError: it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = Location.of(folder)
        with reading(folder, "the root group"):
            root = zarr.open_group(folder, mode="r", zarr_format=3)
        require_schema(folder, root)
        self._read(root)

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Tell whether a folder holds one."""
        return (folder / "zarr.json").is_file()


def export(reader: StoreReader, folder: Path, layout: Layout) -> int:
    """Export a checkpoint, and return the number of files written.

    `paper` names images as the authors' release does, `run_<r>/map_gen_<G>/map_<G>_<class>_<confidence>.png`;
    `flat` puts them in one folder with `images.csv`; `folder` in a folder per class, as torchvision's
    `ImageFolder` and benchmarks of out-of-distribution detection expect; `cells` does so with the images of
    all cells, where a class has several, and writes `images.csv`; `zarr` is the store's content as
    a plain Zarr directory. Each comes with `manifest.json`, which has the sha256 of each file.

    Raises:
        InputError: `folder` is not empty, or there is no such layout.
        StoreError: the store cannot be read, or has no checkpoint.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout: got {layout!r}; expected one of {', '.join(LAYOUTS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; choose another folder to export to")
    generation = reader.generation
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "zarr":
        wait_for(_copy_keys(reader, folder))
    elif layout == "paper":
        _export_images(reader, folder, lambda run, class_, score: _paper_name(run, class_, score, generation))
    elif layout == "folder":
        _export_images(
            reader,
            folder,
            lambda run, class_, _: f"{folder_name(class_, reader.classes[class_])}/run-{run}.png",
        )
    elif layout == "cells":
        _export_cells(reader, folder)
    else:
        _export_images(reader, folder, _flat_name)
        _write_csv(folder, table(reader, "elites"), lambda row: _flat_name(row["run"], row["class"], 0))
    return _write_manifest(reader, folder) + 1


def _paper_name(run: int, class_: int, confidence: float, generation: int) -> str:
    # Six significant digits: what a C++ stream makes of a float.
    return f"run_{run}/map_gen_{generation}/map_{generation}_{class_}_{confidence:.6g}.png"


def _flat_name(run: int, class_: int, _confidence: float) -> str:
    return f"run-{run}_class-{class_:04}.png"


def _export_images(reader: StoreReader, folder: Path, name: Callable[[int, int, float], str]) -> None:
    from islands.store.images import render_all, save_png  # copying to Zarr works without torch

    for run in range(reader.runs):
        stored = reader.elite_columns(run, "confidence", "id")
        classes = [int(class_) for class_ in np.flatnonzero(np.greater_equal(stored["id"], 0))]
        for class_, picture in zip(classes, render_all(reader, run, classes), strict=True):
            file = folder / name(run, class_, float(stored["confidence"][class_]))
            file.parent.mkdir(parents=True, exist_ok=True)
            save_png(picture, file)


def _export_cells(reader: StoreReader, folder: Path) -> None:
    """Write the elites of all cells, which are more than classes where `archive` says so."""
    from islands.store.images import Studio, save_png

    def name(row: Mapping[str, Any]) -> str:
        return f"{folder_name(int(row['class']), row['name'])}/run-{row['run']}_cell-{row['cell']:03}.png"

    columns = table(reader, "cells")
    studios = [Studio(reader, run) for run in range(reader.runs)]
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        picture = studios[row["run"]].draw(int(row["id"]))
        assert picture is not None  # elites are kept always
        (folder / name(row)).parent.mkdir(parents=True, exist_ok=True)
        save_png(picture, folder / name(row))
    _write_csv(folder, columns, name)


def _write_csv(folder: Path, columns: Columns, name: Callable[[Mapping[str, Any]], str]) -> None:
    with (folder / "images.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", *columns))
        for row in zip(*columns.values(), strict=True):
            writer.writerow((name(dict(zip(columns, row, strict=True))), *row))


def _write_manifest(reader: StoreReader, folder: Path) -> int:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "store": reader.path.name,
        "snapshot": reader.session.snapshot_id,
        "epoch": reader.epoch,
        "generation": reader.generation,
        "pipeline": reader.config.pipeline,
        "network": reader.config.network.name,
        "fingerprint": reader.attributes["fingerprint"],
        "classes": list(reader.classes),
        "sha256": {
            path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return len(files)


async def _copy_keys(reader: StoreReader, folder: Path) -> None:
    store = reader.session.store
    with reading(reader.path, "its content"):
        async for key in store.list():
            value = await store.get(key, default_buffer_prototype())
            assert value is not None
            file = folder / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(value.to_bytes())
