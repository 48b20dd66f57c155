"""Copies of a store for those without Islands: images in folders, or a plain Zarr directory."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import zarr
from zarr.core.buffer import default_buffer_prototype

from islands.errors import InputError
from islands.files import BEGUN, filling
from islands.store.benchmarks import (
    FOOLING_IMAGES,
    GENERATIONS,
    make_empty_runs,
    require_ten_runs,
    write_image_list,
    write_sheet,
)
from islands.store.classes import folder_name
from islands.store.columns import Columns, table
from islands.store.labels import Shown, elite_label, show_command
from islands.store.location import Location
from islands.store.reader import StoreReader
from islands.store.repository import reading, require_schema
from islands.store.waiting import wait_for
from islands.texts import islands_command

if TYPE_CHECKING:
    from islands.store.images import Picture

Layout = Literal["paper", "flat", "folder", "cells", "pytorch-ood", "openood", "zarr"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

MANIFEST = "manifest.json"

Row = Mapping[str, Any]
"""An elite of the table `elites` or `cells`."""


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
    `flat` puts them in one folder; `folder` in a folder per class, as torchvision's `ImageFolder` and
    benchmarks of out-of-distribution detection expect; `cells` does so with the images of all cells, where a
    class has several; `pytorch-ood` names them as its `FoolingImages` expects, `openood` lists them for
    OpenOOD, both with a data sheet; `zarr` is the store's content as a plain Zarr directory. Each comes with
    `manifest.json`, which has the sha256 of each file, those of images also with `images.csv`: the class, the
    name and the full confidence of each, which its PNG says too.

    Raises:
        InputError: `folder` is not empty, there is no such layout, or the store does not fit it.
        StoreError: the store cannot be read, or has no checkpoint.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout: got {layout!r}; expected one of {', '.join(LAYOUTS)}")
    if layout == "pytorch-ood":
        require_ten_runs(reader)
    # What is left of an export that was killed is in nobody's way.
    if folder.exists() and (not folder.is_dir() or any(each.name != BEGUN for each in folder.iterdir())):
        raise InputError(f"{folder} is not empty; choose another folder to export to")
    with filling(folder, last=MANIFEST) as unfinished:
        _fill(reader, unfinished, layout, again=_again(reader, folder, layout))
        return _write_manifest(reader, unfinished) + 1


def _fill(reader: StoreReader, folder: Path, layout: Layout, again: str) -> None:
    """Write all but the manifest; `again` is the command that does so."""
    generation = reader.generation
    if layout == "zarr":
        wait_for(_copy_keys(reader, folder))
    elif layout == "cells":
        _export_cells(reader, folder, again)
    else:
        files = _export_elites(reader, folder, _NAMES[layout], generation)
        if layout == "pytorch-ood":
            make_empty_runs(folder)
        if layout == "openood":
            write_image_list(folder, files)
        if layout in ("pytorch-ood", "openood"):
            write_sheet(reader, folder, layout, len(files))


def _again(reader: StoreReader, folder: Path, layout: Layout) -> str:
    at = reader.session.snapshot_id
    return islands_command("export", reader.path, folder, "--layout", layout, "--at", at)


def _paper_name(row: Row, generation: int) -> str:
    # Six significant digits: what a C++ stream makes of a float.
    score = f"{float(row['confidence']):.6g}"
    return f"run_{row['run']}/map_gen_{generation}/map_{generation}_{row['class']}_{score}.png"


def _flat_name(row: Row, _generation: int) -> str:
    return f"run-{row['run']}_class-{row['class']:04}.png"


def _folder_name(row: Row, _generation: int) -> str:
    return f"{folder_name(int(row['class']), row['name'])}/run-{row['run']}.png"


def _fooling_images_name(row: Row, generation: int) -> str:
    *_, name = _paper_name(row, generation).split("/")
    return f"{FOOLING_IMAGES}/run_{row['run']}/{GENERATIONS}/{name}"


def _listed_name(row: Row, generation: int) -> str:
    return f"fooling/{_flat_name(row, generation)}"


_NAMES: Mapping[str, Callable[[Row, int], str]] = {
    "paper": _paper_name,
    "flat": _flat_name,
    "folder": _folder_name,
    "pytorch-ood": _fooling_images_name,
    "openood": _listed_name,
}
"""What the layouts of one image a class call their files."""


def _export_elites(
    reader: StoreReader, folder: Path, name: Callable[[Row, int], str], generation: int
) -> Collection[str]:
    """Write the best elite of each class, and return the files' names."""
    from islands.store.images import render_all  # copying to Zarr works without torch

    rows = _rows(table(reader, "elites"))
    pictures = chain.from_iterable(
        render_all(reader, run, [int(row["class"]) for row in rows if row["run"] == run])
        for run in range(reader.runs)
    )
    files = {name(row, generation): row for row in rows}
    _save_images(
        reader,
        folder,
        files,
        pictures,
        lambda row: show_command(reader, row["run"], "--class", f"index:{row['class']}"),
    )
    return files


def _export_cells(reader: StoreReader, folder: Path, again: str) -> None:
    """Write the elites of all cells, which are more than classes where `archive` says so.

    No command draws a cell alone: their images say `again`, the export.
    """
    from islands.store.images import Studio

    rows = _rows(table(reader, "cells"))
    studios = [Studio(reader, run) for run in range(reader.runs)]
    pictures = (studios[row["run"]].draw(int(row["id"])) for row in rows)
    files = {
        f"{folder_name(int(row['class']), row['name'])}/run-{row['run']}_cell-{row['cell']:03}.png": row
        for row in rows
    }
    _save_images(reader, folder, files, pictures, lambda _: again)


def _save_images(
    reader: StoreReader,
    folder: Path,
    rows: Mapping[str, Row],
    pictures: Iterable[Picture | None],
    command: Callable[[Row], str],
) -> None:
    """Write a PNG for each file of `rows`, which says what its row and `command` do, and `images.csv`."""
    from islands.store.images import save_png

    for (name, row), picture in zip(rows.items(), pictures, strict=True):
        assert picture is not None  # elites are kept always
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        elite = Shown(int(row["class"]), row["confidence"], int(row["id"]))
        label = elite_label(reader, int(row["run"]), elite, command(row))
        save_png(picture, file, label | ({"cell": str(row["cell"])} if "cell" in row else {}))
    _write_csv(folder, rows)


def _rows(columns: Columns) -> list[Row]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _write_csv(folder: Path, rows: Mapping[str, Row]) -> None:
    with (folder / "images.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", *next(iter(rows.values()), {})))
        writer.writerows((name, *row.values()) for name, row in rows.items())


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
