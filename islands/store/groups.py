"""The groups and arrays of a store, as they are made and written. See `schema` for what they hold.

A commit touches a hundred small arrays. The columns of a table are written side by side: one after the other,
a commit of a small run takes 1.7 times as long (1.0 and 0.6 s on two cores of an AMD EPYC).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from zarr import AsyncArray, AsyncGroup
from zarr.api.asynchronous import open_group
from zarr.codecs import ZstdCodec
from zarr.storage import StoreLike

from islands.evolution.ancestors import Ancestors
from islands.evolution.cells import CellLayout
from islands.evolution.checkpoint import Checkpoint, Mail, RunCheckpoint
from islands.evolution.elites import Arrays, Elites
from islands.evolution.scores import HeldOutScores, Scores
from islands.store import digests, schema
from islands.store.schema import Column
from islands.store.waiting import together

_GENOME_ROOM = 32
"""Genomes of ancestors are stored in arrays whose width is a multiple of this."""

# Icechunk does not check what it reads from a disk; the checksum turns a flipped bit into an error.
_COMPRESSOR = ZstdCodec(level=1, checksum=True)


async def create_store(
    store: StoreLike, classes: Sequence[str], layout: CellLayout, runs: int, attributes: Mapping[str, Any]
) -> None:
    """Make the groups and empty arrays of a store of so many runs."""
    root = await open_group(store, mode="w-", zarr_format=3, attributes={**attributes})
    await _create_names(root, classes)
    for number in range(runs):
        await _create_run(root, number, len(classes), layout)


async def write_checkpoint(store: StoreLike, checkpoint: Checkpoint, attributes: Mapping[str, Any]) -> None:
    """Write what all runs have at an epoch, and attributes of the root."""
    root = await open_group(store, mode="r+", zarr_format=3)
    for number, run in enumerate(checkpoint.runs):
        await _write_run(root, number, run, checkpoint.epoch)
    await _write_scores(root, checkpoint.scores)
    await root.update_attributes({**attributes})


async def write_scores(
    store: StoreLike, networks: Sequence[HeldOutScores], attributes: Mapping[str, Any]
) -> None:
    """Write what held-out networks say, and attributes of the root."""
    root = await open_group(store, mode="r+", zarr_format=3)
    await _write_scores(root, networks)
    await root.update_attributes({**attributes})


async def _create_names(root: AsyncGroup, classes: Sequence[str]) -> None:
    """Write the names of the K classes."""
    await root.create_array(
        "classes/names",
        data=np.array(list(classes), np.dtypes.StringDType()),
        chunks=(max(1, len(classes)),),
        compressors=_COMPRESSOR,
        dimension_names=("class",),
        attributes={"description": "names of the network's classes"},
    )


async def _create_run(root: AsyncGroup, number: int, k: int, layout: CellLayout) -> None:
    """Make the groups and empty arrays of a run of `k` classes."""
    run = await root.create_group(schema.run_path(number), attributes={"evaluations": 0, "not_finite": 0})
    names = ("elites", "genomes", "islands/genomes", "history", "migrations")
    elites, _, _, history, migrations = await together(*map(run.create_group, names))
    widths = {"output": k, "parent": 2}
    cells, rows_of = k * layout.per_class, _rows_of(layout.per_class)
    await together(
        *(
            _create(elites, name, column, (cells, *(widths[each] for each in column.dimensions)), rows_of)
            for name, column in schema.elite_schema(layout.per_class).items()
        ),
        *(
            _create(rows, name, column, (0, *(2 for _ in column.dimensions)), "row")
            for rows, columns in ((history, schema.history_schema(layout)), (migrations, schema.MIGRATIONS))
            for name, column in columns.items()
        ),
        _create(run, "curves", schema.CURVES, (0, cells), "epoch"),
    )


async def _write_run(root: AsyncGroup, number: int, run: RunCheckpoint, epoch: int) -> None:
    """Write what a run has at `epoch`; of the elites only chunks with `changed` rows.

    Raises:
        ValueError: rows that are added to are not what was written.
    """
    group = await _group(root, schema.run_path(number))
    rows = await _update_digests(group, run)
    if run.changed.any():
        elites, genomes = await together(_group(group, "elites"), _group(group, "genomes"))
        await _update(elites, schema.elite_arrays(run.elites), run.changed)
        await _update_genomes(genomes, run.elites, run.changed)
    await _replace_mail(await _group(group, "islands"), run.mail)
    stored: Any = group.attrs.get("blocks", {})
    appended: Mapping[str, Arrays] = {
        "history": run.history,
        "migrations": run.migrations,
        "curves": {"curves": run.curves},
    }
    blocks = {
        name: await _append_checked(
            group if name == "curves" else await _group(group, name), name, arrays, stored
        )
        for name, arrays in appended.items()
    }
    parts = digests.parts(run.elites, rows, run.mail)
    described: dict[str, Any] = {
        "evaluations": run.evaluations,
        "not_finite": run.not_finite,
        "digest": digests.of_run(epoch, run.evaluations, parts, blocks),
        "parts": parts,
        "blocks": blocks,
        "ancestors": await _write_ancestors(group, run.ancestors),
    }
    await group.update_attributes(described)


async def _write_scores(root: AsyncGroup, networks: Sequence[HeldOutScores]) -> None:
    """Write what held-out networks say."""
    for network in networks:
        for number, scores in enumerate(network.runs):
            group = await root.require_group(schema.scores_path(number, network.name, network.fingerprint))
            await _write_scores_of(group, scores)
            await group.update_attributes(
                {
                    "network": network.name,
                    "settings": dict(network.settings),
                    "fingerprint": network.fingerprint,
                    "digest": schema.scores_digest(scores),
                }
            )


async def _write_scores_of(group: AsyncGroup, scores: Scores) -> None:
    arrays = schema.score_arrays(scores)
    there = {name async for name in group.array_keys()}
    for name in there - arrays.keys():
        await group.delitem(name)  # probabilities of elites that have been scored anew

    async def write(name: str, values: npt.NDArray[np.generic]) -> None:
        if name in there:
            await (await _array(group, name)).setitem(..., values)
        else:
            await _replace(group, name, schema.SCORES[name], values, "class")

    await together(*(write(name, values) for name, values in arrays.items()))


async def _update(group: AsyncGroup, arrays: Arrays, changed: npt.NDArray[np.bool_]) -> None:
    async def update(name: str, values: npt.NDArray[np.generic]) -> None:
        await _write_changed(await _array(group, name), values, changed)

    await together(*(update(name, values) for name, values in arrays.items()))


async def _update_genomes(group: AsyncGroup, elites: Elites, changed: npt.NDArray[np.bool_]) -> None:
    stored = {name: array async for name, array in group.arrays()}

    async def update(name: str, values: npt.NDArray[np.generic]) -> None:
        column = schema.genome_column(name, values.dtype)
        # A new width is rare and touches most rows: the array is written anew.
        if name in stored and stored[name].shape == values.shape and _suits(stored[name], column, values):
            await _write_changed(stored[name], values, changed)
        else:
            await _replace(group, name, column, values, _rows_of(elites.per_class))

    await together(*(update(name, values) for name, values in elites.genomes.items()))


async def _update_digests(run: AsyncGroup, checkpoint: RunCheckpoint) -> dict[str, digests.RowDigests]:
    """Write and return the digests of wide rows; those of genomes that stay in their cells stay as well."""
    elites = checkpoint.elites
    group = await run.require_group("digests")
    others = checkpoint.changed | (await _whole(run, "elites/id") != elites.ids)

    async def update(name: str, arrays: Arrays) -> digests.RowDigests:
        stored = await group.get(name)
        stale = np.ones_like(others) if stored is None else others
        rows = np.zeros((len(stale), schema.DIGEST_BYTES), np.uint8)
        if isinstance(stored, AsyncArray):
            rows[:] = await stored.getitem(...)
        taken = {field: values[stale] for field, values in arrays.items()}
        rows[stale] = digests.of_rows(elites.ids[stale], taken)
        if isinstance(stored, AsyncArray):
            await _write_changed(stored, rows, stale)
        else:
            await _replace(group, name, schema.ROW_DIGESTS, rows, _rows_of(elites.per_class))
        return rows

    tables = digests.row_tables(elites)
    return dict(zip(tables, await together(*(update(*table) for table in tables.items())), strict=True))


async def _append_checked(
    group: AsyncGroup, name: str, arrays: Arrays, stored: Mapping[str, Sequence[str]]
) -> list[str]:
    """Append rows, and return the digests of all blocks; the last block is read, and checked, for it."""
    size, known = digests.BLOCK_ROWS[name], list(stored.get(name, ()))
    if known and not any(len(values) for values in arrays.values()):
        return known
    columns = dict(zip(arrays, await together(*(_array(group, column) for column in arrays)), strict=True))
    whole = min(next(iter(columns.values())).shape[0] // size, len(known))
    rest = await together(*(array.getitem(slice(whole * size, None)) for array in columns.values()))
    begun = {column: np.asarray(values) for column, values in zip(columns, rest, strict=True)}
    # Stores of version 1 have no digests of what was there before.
    if known[whole:] and known[whole:] != digests.of_blocks(begun, size):
        raise ValueError(f"{group.path}: its content is not what was written")
    await together(*(columns[column].append(values) for column, values in arrays.items() if len(values)))
    extended = {column: np.concatenate([begun[column], values]) for column, values in arrays.items()}
    return known[:whole] + digests.of_blocks(extended, size)


def _rows_of(per_class: int) -> str:
    """Return what the rows of a table of elites are called, where a class has so many cells."""
    return "class" if per_class == 1 else "cell"


async def _write_changed(
    array: AsyncArray[Any], values: npt.NDArray[np.generic], changed: npt.NDArray[np.bool_]
) -> None:
    step = array.chunks[0]
    dirty = np.logical_or.reduceat(changed, np.arange(0, len(changed), step))
    edges = np.flatnonzero(np.diff(dirty, prepend=False, append=False)) * step
    for start, stop in edges.reshape(-1, 2):
        await array.setitem(slice(start, stop), values[start:stop])


async def _replace_mail(group: AsyncGroup, mail: Mail) -> None:
    columns: Mapping[str, Column] = {**schema.MAIL, **schema.elite_schema(mail.elites.per_class)}
    genomes = await _group(group, "genomes")
    await together(
        *(
            _replace(group, name, _at_once(columns[name]), values, "letter")
            for name, values in schema.mail_arrays(mail).items()
        ),
        _replace(group, "boards", schema.BOARDS, mail.boards, "sent_epoch"),
        *(
            _replace(genomes, name, _at_once(schema.genome_column(name, values.dtype)), values, "letter")
            for name, values in mail.elites.genomes.items()
        ),
    )
    counters = schema.counter_arrays(mail.counters)
    if counters:
        own = await group.require_group("counters")
        await together(
            *(
                _replace(own, name, _at_once(schema.COUNTERS[name]), values, "genome")
                for name, values in counters.items()
            )
        )
    elif await group.contains("counters"):
        await group.delitem("counters")


def _at_once(column: Column) -> Column:
    """Return a column of mail, which is always written and read as a whole: the fewer chunks the better."""
    return replace(column, chunk=schema.COLUMN_CHUNK, chunk_bytes=schema.CHUNK_BYTES)


async def _write_ancestors(run: AsyncGroup, ancestors: Ancestors | None) -> dict[str, Any] | None:
    """Append what is new; write all anew when most rows are extinct or genomes have outgrown the arrays.

    Returns:
        What a reader needs to know beforehand: the digest of all rows, and the widths of genomes unpadded.
    """
    there = await run.contains("ancestors")
    if ancestors is None:
        if there:
            await run.delitem("ancestors")
        return None
    stored = await _whole(run, "ancestors/id") if there else np.empty(0, np.int64)
    is_new = ~np.isin(ancestors.ids, stored)
    rows = len(stored) + int(is_new.sum())
    if rows > 2 * len(ancestors) or not (there and await _fit(run, ancestors.genomes)):
        await _create_ancestors(run, ancestors.genomes)
        stored, is_new = np.empty(0, np.int64), np.ones(len(ancestors), np.bool_)
    new = ancestors.take(is_new)
    ids = np.concatenate([stored, new.ids])
    is_alive = np.isin(ids, ancestors.ids)
    group = await _group(run, "ancestors")
    columns: Arrays = {"id": new.ids, "parents": new.parents, "digest": digests.of_rows(new.ids, new.genomes)}
    genomes = {f"genomes/{name}": values for name, values in new.genomes.items()}
    await together(
        *(_append_padded(group, name, values) for name, values in {**columns, **genomes}.items()),
        _resize_and_write(group, "alive", is_alive),
    )
    kept = (await _whole(group, "digest"))[is_alive][np.argsort(ids[is_alive])]
    return {
        "rows": digests.of_ancestors(ancestors.ids, ancestors.parents, kept),
        "widths": {name: values.shape[1] for name, values in ancestors.genomes.items()},
    }


async def _append_padded(group: AsyncGroup, name: str, values: npt.NDArray[np.generic]) -> None:
    """Append rows, widened by zeros to the width of the array."""
    if len(values):
        array = await _array(group, name)
        missing = [(0, have - got) for have, got in zip(array.shape[1:], values.shape[1:], strict=True)]
        await array.append(np.pad(values, [(0, 0), *missing]))


async def _resize_and_write(group: AsyncGroup, name: str, values: npt.NDArray[np.generic]) -> None:
    array = await _array(group, name)
    await array.resize(values.shape)
    await array.setitem(..., values)


async def _fit(run: AsyncGroup, genomes: Arrays) -> bool:
    """Tell whether there are arrays that take `genomes`; stores of version 1 lack digests of rows."""
    if not await run.contains("ancestors/digest"):
        return False
    stored = await _group(run, "ancestors/genomes")
    room = {name: array.shape[1] async for name, array in stored.arrays()}
    return all(values.shape[1] <= room.get(name, -1) for name, values in genomes.items())


async def _create_ancestors(run: AsyncGroup, genomes: Arrays) -> None:
    group = await run.create_group("ancestors", overwrite=True)
    arrays = await group.create_group("genomes")
    widths = {"parent": 2, "byte": schema.DIGEST_BYTES}
    # Genomes grow: with some room, few commits write all rows anew.
    room = {name: -(-values.shape[1] // _GENOME_ROOM) * _GENOME_ROOM for name, values in genomes.items()}
    await together(
        *(
            _create(group, name, column, (0, *(widths[each] for each in column.dimensions)), "row")
            for name, column in schema.ANCESTORS.items()
        ),
        *(
            _create(arrays, name, schema.genome_column(name, values.dtype), (0, room[name]), "row")
            for name, values in genomes.items()
        ),
    )


async def _replace(
    group: AsyncGroup, name: str, column: Column, values: npt.NDArray[np.generic], rows: str
) -> None:
    array = await group.get(name)
    # To make an array costs several times what it costs to change its length.
    if isinstance(array, AsyncArray) and _suits(array, column, values):
        if array.shape != values.shape:
            await array.resize(values.shape)
    else:
        array = await _create(group, name, column, values.shape, rows)
    if values.size:
        await array.setitem(..., values)


def _suits(array: AsyncArray[Any], column: Column, values: npt.NDArray[np.generic]) -> bool:
    """Tell whether `array` could hold `values` in the chunks that a new one would have."""
    chunks = _chunks(column, values.shape)
    return array.dtype == column.dtype and array.chunks == chunks and array.shape[1:] == values.shape[1:]


async def _create(
    group: AsyncGroup, name: str, column: Column, shape: tuple[int, ...], rows: str
) -> AsyncArray[Any]:
    return await group.create_array(
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


async def _group(parent: AsyncGroup, path: str) -> AsyncGroup:
    found = await parent.getitem(path)
    assert isinstance(found, AsyncGroup)
    return found


async def _array(parent: AsyncGroup, path: str) -> AsyncArray[Any]:
    found = await parent.getitem(path)
    assert isinstance(found, AsyncArray)
    return found


async def _whole(parent: AsyncGroup, path: str) -> npt.NDArray[Any]:
    return np.asarray(await (await _array(parent, path)).getitem(...))
