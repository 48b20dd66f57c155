"""What tells a store as it was written from a damaged one, part by part.

Zarr reads a chunk that is lost as one that was never written. A run's attribute `parts` has the sha256 of
each part that is read by itself, `blocks` those of rows that are only ever added, and `digest` is one of all
of them. Genomes and probabilities, which are wide, have a digest of each row in the store, and `parts` has
one of these: a row is checked without the others, and a commit hashes what has changed.
Stores of version 1 have the one `digest` of a run's whole content, which `schema.digest` makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from islands.evolution.checkpoint import Mail
from islands.evolution.elites import Arrays, Elites
from islands.store import schema
from islands.store.schema import sha256_of

Ids = npt.NDArray[np.int64]
RowDigests = npt.NDArray[np.uint8]
"""(n, schema.DIGEST_BYTES), one row each."""

BLOCK_ROWS: Mapping[str, int] = {"history": 8192, "migrations": 8192, "curves": 64}
"""Rows per digest of what is only ever added to."""


def narrow(per_class: int) -> tuple[str, ...]:
    """Return the columns of elites that have one digest each."""
    return tuple(name for name in schema.elite_schema(per_class) if name != "probabilities")


def of_rows(ids: Ids, arrays: Arrays) -> RowDigests:
    """Return the digest of each row: of its id and of every bit but for zeros at the end.

    Genomes are padded with zeros to the widest of their table, which is no part of them.
    """
    found = np.empty((len(ids), schema.DIGEST_BYTES), np.uint8)
    for row, id_ in enumerate(ids.tolist()):
        total = sha256(str(id_).encode())
        for name, array in sorted(arrays.items()):
            content = array[row].tobytes().rstrip(b"\0")
            # With the length: bytes that moved from one array to the next would else go unseen.
            total.update(f" {name} {array.dtype} {len(content)} ".encode())
            total.update(content)
        found[row] = np.frombuffer(total.digest()[: schema.DIGEST_BYTES], np.uint8)
    return found


def row_tables(elites: Elites) -> dict[str, Arrays]:
    """Return what has a digest for each row, by its name in the group `digests`."""
    return {"genomes": elites.genomes, "probabilities": {"probabilities": elites.probabilities}}


def parts(elites: Elites, rows: Mapping[str, RowDigests], mail: Mail) -> dict[str, str]:
    """Return a sha256 of each part of a run that is read by itself, by its path in the run's group.

    Args:
        elites: a row for each cell.
        rows: digests of the rows of `row_tables(elites)`.
        mail: in transit.
    """
    columns, tables = schema.elite_arrays(elites), row_tables(elites)
    return {
        **{f"elites/{name}": of_column(columns[name]) for name in narrow(elites.per_class)},
        **{f"digests/{name}": of_digests(digests, tables[name]) for name, digests in rows.items()},
        "islands": of_mail(mail),
    }


def of_column(column: npt.NDArray[Any]) -> str:
    """Return a sha256 over the dtype, the shape and every bit."""
    return sha256_of("", ({"": column},))


def of_digests(digests: RowDigests, arrays: Mapping[str, Any]) -> str:
    """Return a sha256 over digests of rows, and over dtypes and widths of the arrays that have these rows."""
    widths = [f"{name} {array.dtype} {array.shape[1]}" for name, array in sorted(arrays.items())]
    return sha256_of(f"{widths}", ({"": digests},))


def of_mail(mail: Mail) -> str:
    """Return a sha256 over all letters, boards and counters."""
    boards: Arrays = {"boards": mail.boards}
    # Where nobody counts there are no counters: the digest is that of stores from before there were any.
    counters = schema.counter_arrays(mail.counters)
    return sha256_of("islands", (schema.mail_arrays(mail), mail.elites.genomes, boards, counters))


def of_blocks(arrays: Mapping[str, npt.NDArray[Any]], rows: int) -> list[str]:
    """Return a sha256 of each block of `rows` rows; the last may have fewer."""
    length = len(next(iter(arrays.values())))
    return [
        sha256_of("", ({name: array[start : start + rows] for name, array in arrays.items()},))
        for start in range(0, length, rows)
    ]


def of_ancestors(ids: Ids, parents: Ids, digests: RowDigests) -> str:
    """Return a sha256 over ancestors, by the digests of their genomes."""
    return sha256_of("ancestors", ({"id": ids, "parents": parents, "digest": digests},))


def of_run(
    epoch: int, evaluations: int, parts: Mapping[str, str], blocks: Mapping[str, Sequence[str]]
) -> str:
    """Return a sha256 over the digests of a run's parts and blocks."""
    return sha256_of(f"{epoch} {evaluations} {sorted(parts.items())} {sorted(blocks.items())}", ())


def require_equal(found: object, expected: object) -> None:
    """Check that a digest is the one that was stored.

    Raises:
        ValueError: it is another.
    """
    if found != expected:
        raise ValueError("its content is not what was written")


def require_same(found: RowDigests, expected: RowDigests) -> None:
    """Check that digests of rows are those that were stored.

    Raises:
        ValueError: some are others.
    """
    require_equal((found.shape, found.tobytes()), (expected.shape, expected.tobytes()))
