"""The groups and arrays of a store, as they are made and written. See `schema` for what they hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import ZstdCodec

from islands.evolution.ancestors import Ancestors
from islands.evolution.checkpoint import Mail, RunCheckpoint
from islands.evolution.elites import Arrays
from islands.evolution.scores import HeldOutScores
from islands.store import digests, schema
from islands.store.schema import Column

_GENOME_ROOM = 32
"""Genomes of ancestors are stored in arrays whose width is a multiple of this."""

# Icechunk does not check what it reads from a disk; the checksum turns a flipped bit into an error.
_COMPRESSOR = ZstdCodec(level=1, checksum=True)


def create_names(root: zarr.Group, classes: Sequence[str]) -> None:
    """Write the names of the K classes."""
    root.create_array(
        "classes/names",
        data=np.array(list(classes), np.dtypes.StringDType()),
        chunks=(max(1, len(classes)),),
        compressors=_COMPRESSOR,
        dimension_names=("class",),
        attributes={"description": "names of the network's classes"},
    )


def create_run(root: zarr.Group, number: int, k: int) -> None:
    """Make the groups and empty arrays of a run of `k` classes."""
    run = root.create_group(schema.run_path(number), attributes={"evaluations": 0, "not_finite": 0})
    elites = run.create_group("elites")
    for name, column in schema.ELITES.items():
        widths = {"output": k, "parent": 2}
        shape = (k, *(widths[dimension] for dimension in column.dimensions))
        _create(elites, name, column, shape, "class")
    run.create_group("genomes")
    run.create_group("islands/genomes")
    for group, columns in (("history", schema.HISTORY), ("migrations", schema.MIGRATIONS)):
        rows = run.create_group(group)
        for name, column in columns.items():
            _create(rows, name, column, (0, *(2 for _ in column.dimensions)), "row")
    _create(run, "curves", schema.CURVES, (0, k), "epoch")


def write_run(root: zarr.Group, number: int, run: RunCheckpoint, epoch: int) -> None:
    """Write what a run has at `epoch`; of the elites only chunks with `changed` rows.

    Raises:
        ValueError: rows that are added to are not what was written.
    """
    group = _group(root, schema.run_path(number))
    rows = _update_digests(group, run)
    if run.changed.any():
        _update(_group(group, "elites"), schema.elite_arrays(run.elites), run.changed)
        _update_genomes(_group(group, "genomes"), run.elites.genomes, run.changed)
    _replace_mail(_group(group, "islands"), run.mail)
    stored: Any = group.attrs.get("blocks", {})
    appended: Mapping[str, Arrays] = {
        "history": run.history,
        "migrations": run.migrations,
        "curves": {"curves": run.curves},
    }
    blocks = {
        name: _append_checked(group if name == "curves" else _group(group, name), name, arrays, stored)
        for name, arrays in appended.items()
    }
    parts = digests.parts(run.elites, rows, run.mail)
    described: dict[str, Any] = {
        "evaluations": run.evaluations,
        "not_finite": run.not_finite,
        "digest": digests.of_run(epoch, run.evaluations, parts, blocks),
        "parts": parts,
        "blocks": blocks,
        "ancestors": _write_ancestors(group, run.ancestors),
    }
    group.attrs.update(described)


def write_scores(root: zarr.Group, networks: Sequence[HeldOutScores]) -> None:
    """Write what held-out networks say."""
    for network in networks:
        for number, scores in enumerate(network.runs):
            group = root.require_group(schema.scores_path(number, network.name, network.fingerprint))
            arrays = schema.score_arrays(scores)
            for name in set(group.array_keys()) - arrays.keys():
                del group[name]  # probabilities of elites that have been scored anew
            for name, values in arrays.items():
                if name in group:
                    _array(group, name)[:] = values
                else:
                    _replace(group, name, schema.SCORES[name], values, "class")
            group.attrs.update(
                {
                    "network": network.name,
                    "settings": dict(network.settings),
                    "fingerprint": network.fingerprint,
                    "digest": schema.scores_digest(scores),
                }
            )


def _update(group: zarr.Group, arrays: Arrays, changed: npt.NDArray[np.bool_]) -> None:
    for name, values in arrays.items():
        _write_changed(_array(group, name), values, changed)


def _update_genomes(group: zarr.Group, genomes: Arrays, changed: npt.NDArray[np.bool_]) -> None:
    stored = dict(group.arrays())
    for name, values in genomes.items():
        column = schema.genome_column(name, values.dtype)
        # A new width is rare and touches most rows: the array is written anew.
        if name in stored and stored[name].shape == values.shape and _suits(stored[name], column, values):
            _write_changed(stored[name], values, changed)
        else:
            _replace(group, name, column, values, "class")


def _update_digests(run: zarr.Group, checkpoint: RunCheckpoint) -> dict[str, digests.RowDigests]:
    """Write and return the digests of wide rows; those of genomes that stay in their cells stay as well."""
    elites, found = checkpoint.elites, {}
    group = run.require_group("digests")
    others = checkpoint.changed | (np.asarray(_array(run, "elites/id")[:]) != elites.ids)
    for name, arrays in digests.row_tables(elites).items():
        stored = group.get(name)
        stale = np.ones_like(others) if stored is None else others
        rows = np.zeros((len(stale), schema.DIGEST_BYTES), np.uint8)
        if isinstance(stored, zarr.Array):
            rows[:] = stored[:]
        taken = {field: values[stale] for field, values in arrays.items()}
        rows[stale] = digests.of_rows(elites.ids[stale], taken)
        if isinstance(stored, zarr.Array):
            _write_changed(stored, rows, stale)
        else:
            _replace(group, name, schema.ROW_DIGESTS, rows, "class")
        found[name] = rows
    return found


def _append_checked(
    group: zarr.Group, name: str, arrays: Arrays, stored: Mapping[str, Sequence[str]]
) -> list[str]:
    """Append rows, and return the digests of all blocks; the last block is read, and checked, for it."""
    size, known = digests.BLOCK_ROWS[name], list(stored.get(name, ()))
    if known and not any(len(values) for values in arrays.values()):
        return known
    columns = {column: _array(group, column) for column in arrays}
    whole = min(next(iter(columns.values())).shape[0] // size, len(known))
    begun = {column: np.asarray(array[whole * size :]) for column, array in columns.items()}
    # Stores of version 1 have no digests of what was there before.
    if known[whole:] and known[whole:] != digests.of_blocks(begun, size):
        raise ValueError(f"{group.path}: its content is not what was written")
    for column, values in arrays.items():
        if len(values):
            columns[column].append(values)
    extended = {column: np.concatenate([begun[column], values]) for column, values in arrays.items()}
    return known[:whole] + digests.of_blocks(extended, size)


def _write_changed(
    array: zarr.Array[Any], values: npt.NDArray[np.generic], changed: npt.NDArray[np.bool_]
) -> None:
    step = array.chunks[0]
    dirty = np.logical_or.reduceat(changed, np.arange(0, len(changed), step))
    edges = np.flatnonzero(np.diff(dirty, prepend=False, append=False)) * step
    for start, stop in edges.reshape(-1, 2):
        array[start:stop] = values[start:stop]


def _replace_mail(group: zarr.Group, mail: Mail) -> None:
    columns: Mapping[str, Column] = {**schema.MAIL, **schema.ELITES}
    for name, values in schema.mail_arrays(mail).items():
        _replace(group, name, _at_once(columns[name]), values, "letter")
    _replace(group, "boards", schema.BOARDS, mail.boards, "sent_epoch")
    genomes = _group(group, "genomes")
    for name, values in mail.elites.genomes.items():
        _replace(genomes, name, _at_once(schema.genome_column(name, values.dtype)), values, "letter")


def _at_once(column: Column) -> Column:
    """Return a column of mail, which is always written and read as a whole: the fewer chunks the better."""
    return replace(column, chunk=schema.COLUMN_CHUNK, chunk_bytes=schema.CHUNK_BYTES)


def _write_ancestors(run: zarr.Group, ancestors: Ancestors | None) -> dict[str, Any] | None:
    """Append what is new; write all anew when most rows are extinct or genomes have outgrown the arrays.

    Returns:
        What a reader needs to know beforehand: the digest of all rows, and the widths of genomes unpadded.
    """
    if ancestors is None:
        if "ancestors" in run:
            del run["ancestors"]
        return None
    stored = np.asarray(_array(run, "ancestors/id")[:]) if "ancestors" in run else np.empty(0, np.int64)
    is_new = ~np.isin(ancestors.ids, stored)
    rows = len(stored) + int(is_new.sum())
    if rows > 2 * len(ancestors) or not _fit(run, ancestors.genomes):
        _create_ancestors(run, ancestors.genomes)
        stored, is_new = np.empty(0, np.int64), np.ones(len(ancestors), np.bool_)
    new = ancestors.take(is_new)
    ids = np.concatenate([stored, new.ids])
    group = _group(run, "ancestors")
    _append(group, {"id": new.ids, "parents": new.parents, "digest": digests.of_rows(new.ids, new.genomes)})
    for name, values in new.genomes.items():
        array = _array(group, f"genomes/{name}")
        _append(group, {f"genomes/{name}": np.pad(values, ((0, 0), (0, array.shape[1] - values.shape[1])))})
    alive = _array(group, "alive")
    alive.resize((len(ids),))
    is_alive = np.isin(ids, ancestors.ids)
    alive[:] = is_alive
    kept = np.asarray(_array(group, "digest")[:])[is_alive][np.argsort(ids[is_alive])]
    return {
        "rows": digests.of_ancestors(ancestors.ids, ancestors.parents, kept),
        "widths": {name: values.shape[1] for name, values in ancestors.genomes.items()},
    }


def _fit(run: zarr.Group, genomes: Arrays) -> bool:
    """Tell whether there are arrays that take `genomes`; stores of version 1 lack digests of rows."""
    if "ancestors" not in run or "digest" not in _group(run, "ancestors"):
        return False
    room = {name: array.shape[1] for name, array in _group(run, "ancestors/genomes").arrays()}
    return all(values.shape[1] <= room.get(name, -1) for name, values in genomes.items())


def _create_ancestors(run: zarr.Group, genomes: Arrays) -> None:
    group = run.create_group("ancestors", overwrite=True)
    for name, column in schema.ANCESTORS.items():
        widths = {"parent": 2, "byte": schema.DIGEST_BYTES}
        _create(group, name, column, (0, *(widths[dimension] for dimension in column.dimensions)), "row")
    arrays = group.create_group("genomes")
    for name, values in genomes.items():
        # Genomes grow: with some room, few commits write all rows anew.
        width = -(-values.shape[1] // _GENOME_ROOM) * _GENOME_ROOM
        _create(arrays, name, schema.genome_column(name, values.dtype), (0, width), "row")


def _append(group: zarr.Group, arrays: Arrays) -> None:
    for name, values in arrays.items():
        if len(values):
            _array(group, name).append(values)


def _replace(
    group: zarr.Group, name: str, column: Column, values: npt.NDArray[np.generic], rows: str
) -> None:
    array = group.get(name)
    # To make an array costs several times what it costs to change its length.
    if isinstance(array, zarr.Array) and _suits(array, column, values):
        if array.shape != values.shape:
            array.resize(values.shape)
    else:
        array = _create(group, name, column, values.shape, rows)
    if values.size:
        array[:] = values


def _suits(array: zarr.Array[Any], column: Column, values: npt.NDArray[np.generic]) -> bool:
    """Tell whether `array` could hold `values` in the chunks that a new one would have."""
    chunks = _chunks(column, values.shape)
    return array.dtype == column.dtype and array.chunks == chunks and array.shape[1:] == values.shape[1:]


def _create(
    group: zarr.Group, name: str, column: Column, shape: tuple[int, ...], rows: str
) -> zarr.Array[Any]:
    return group.create_array(
        name,
        shape=shape,
        dtype=column.dtype,
        chunks=_chunks(column, shape),
        fill_value=column.fill,
        compressors=_COMPRESSOR,
        dimension_names=(rows, *column.dimensions),
        attributes={**column.attributes},
        overwrite=True,
    )


def _chunks(column: Column, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of chunks, short in short arrays: Zarr fills chunks up before it compresses them.

    An array of no rows will grow.
    """
    widths = tuple(max(1, width) for width in shape[1:])
    fitting = max(1, column.chunk_bytes // (np.dtype(column.dtype).itemsize * math.prod(widths)))
    room = 1 << (shape[0] - 1).bit_length() if shape[0] else column.chunk
    return (min(column.chunk, fitting, room), *widths)


def _group(parent: zarr.Group, path: str) -> zarr.Group:
    found = parent[path]
    assert isinstance(found, zarr.Group)
    return found


def _array(parent: zarr.Group, path: str) -> zarr.Array[Any]:
    found = parent[path]
    assert isinstance(found, zarr.Array)
    return found
