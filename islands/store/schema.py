"""The layout of a store: names, dtypes and meanings of its groups and arrays. Imports neither torch nor ray.

/                            attributes: see `writer`
/classes/names               (K) string
/evolve/run-<r>/elites       `elite_schema`, one row per cell: of each class one, in the paper
               /genomes      the encoding's arrays, one row per cell
               /digests      `ROW_DIGESTS` of `genomes` and of `probabilities`, one row per cell
               /islands      `MAIL`, `elite_schema` and, in its own group `genomes`, the encoding's arrays,
                             one row per letter in transit; `boards` (epochs in transit, cells); `COUNTERS` in
                             a group of their own, one row per genome that has had children on an island; not
                             there where nobody counts
               /history      `history_schema`, append-only
               /migrations   `MIGRATIONS`, append-only
               /curves       (epochs + 1, cells) float32: confidence after each epoch, all mail read
               /scores/<network>   `SCORES`, one row per class: what a held-out network says of the elites;
                             attributes: its name, the settings that load it, its fingerprint
               /ancestors    `ANCESTORS` and, in its own group `genomes`, the encoding's arrays, one row per
                             genome that was an ancestor at some commit, in no order; not there where only ids
                             are kept; the run's attribute `ancestors` says what to expect of it

What says whether these are as they were written: see `islands.store.digests`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from islands.evolution import records
from islands.evolution.ancestors import Ancestors
from islands.evolution.cells import CellLayout
from islands.evolution.checkpoint import Letter, Mail
from islands.evolution.counters import Counters
from islands.evolution.elites import COLUMNS, Arrays, Elites
from islands.evolution.scores import Scores
from islands.search.choices import FIRST_OWN

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

SCHEMA_VERSION = 2

READABLE = (1, SCHEMA_VERSION)
"""Versions that are read; a commit turns a store into the newest."""

STAGE = "evolve"

OPERATORS = ("random", "mutation", "crossover", "gradient", "fine", "warp", "transform", "foreign")
"""Names of `islands.encodings.contract.Operator`, which cannot be imported without torch."""


def operator_names(own: Sequence[str]) -> tuple[str, ...]:
    """Return the name of every code, `own` being those of somebody else's emitters, in order."""
    others = (f"operator {code}" for code in range(len(OPERATORS), FIRST_OWN))
    return (*OPERATORS, *others, *own)


THRESHOLDS = {"cells_50": 0.5, "cells_90": 0.9, "cells_99": 0.99, "cells_9999": 0.9999}
"""Confidences at which cells are counted."""

GENOME_CHUNK = 100
"""Rows per chunk of genomes: few files, and a commit of 1000 elites of 4 KB takes tens of milliseconds."""

GENOME_BYTES = 1 << 14
"""Bytes per chunk of genomes: wider ones have a chunk each, as a chunk is rewritten for one row."""

PROBABILITY_CHUNK = 16
PROBABILITY_BYTES = 1 << 15
"""Rows and bytes per chunk of probabilities: 8 rows at 1000 classes; a chunk is rewritten for one row."""

COLUMN_CHUNK = 8192
"""Rows per chunk of everything that has one small entry per row."""

CHUNK_BYTES = 1 << 18
"""Bytes per chunk of everything else."""

DIGEST_BYTES = 16
"""Of each row's sha256; enough to find damage, and half of what a commit would write."""


@dataclass(frozen=True)
class Column:
    """One array whose first dimension is the row.

    Attributes:
        dtype: of the array, and of the arrays in memory.
        description: a line for people, stored as an attribute of the array.
        dimensions: names of the dimensions after the first.
        fill: the value of a row that was never written.
        chunk: rows per chunk, at most.
        chunk_bytes: bytes per chunk, at most; a chunk has one row at least.
        units: stored as an attribute where there is one.
    """

    dtype: type[np.generic]
    description: str
    dimensions: tuple[str, ...] = ()
    fill: float = 0
    chunk: int = COLUMN_CHUNK
    chunk_bytes: int = CHUNK_BYTES
    units: str | None = None

    @property
    def attributes(self) -> dict[str, str]:
        """What is stored beside the array."""
        units = {} if self.units is None else {"units": self.units}
        return {"description": self.description, **units}


def _letters(*kinds: Letter) -> str:
    return ", ".join(f"{kind.value} {kind.name.lower()}" for kind in kinds)


_OPERATOR = "how the child was made: " + ", ".join(f"{code} {name}" for code, name in enumerate(OPERATORS))
_OPERATOR += f"; from {FIRST_OWN} on, the emitters of others in the order of the configuration"

ELITES: Mapping[str, Column] = {
    "class": Column(np.int32, "class that the row is judged for, counted from 0"),
    "confidence": Column(np.float32, "probability of the row's own class", units="1"),
    "fitness": Column(np.float32, "what insertion compares; -inf in an empty cell", fill=-np.inf),
    "probabilities": Column(
        np.float32,
        "scores over all classes",
        ("output",),
        chunk=PROBABILITY_CHUNK,
        chunk_bytes=PROBABILITY_BYTES,
        units="1",
    ),
    "id": Column(np.int64, "genome id; -1 in an empty cell", fill=-1),
    "parents": Column(np.int64, "genome ids of parent and partner; -1: none", ("parent",), fill=-1),
    "operator": Column(np.uint8, _OPERATOR),
    "island": Column(np.int32, "island that made the child"),
    "epoch": Column(np.int32, "epoch in which the child was made"),
    "generation": Column(np.int32, "generation in which the child was made"),
}
"""Columns of a table of elites; `confidence` follows from the others."""

CELL = Column(np.int32, "cell within the class: its bin times the places of a bin, plus the place")
"""A column of elites and history where a class has several cells."""

# Matched by position: `ELITES` has the order of the fields of `Elites`, which number cells of all classes.
_FIELDS = dict(
    zip((name for name in ELITES if name not in ("class", "confidence")), COLUMNS[1:], strict=True)
)


def elite_schema(per_class: int) -> Mapping[str, Column]:
    """Return the columns of a table of elites where a class has so many cells."""
    return ELITES if per_class == 1 else {**ELITES, "cell": CELL}


MAIL: Mapping[str, Column] = {
    "kind": Column(np.uint8, _letters(*Letter)),
    "sender": Column(np.int32, "island that mailed the row"),
    "receiver": Column(np.int32, "island that receives it; -1: routing is derived again"),
    "sent": Column(np.int32, "epoch of mailing"),
}
"""Columns of the mail in transit beside those of its elites."""

_MAIL_FIELDS = {"kind": "kinds", "sender": "senders", "receiver": "receivers", "sent": "sent"}

COUNTERS: Mapping[str, Column] = {
    "island": Column(np.int32, "island that counts"),
    "id": Column(np.int64, "genome id"),
    "children": Column(np.int32, "how many children the genome has had on the island"),
}
"""Columns of what `islands.search.parents` counts."""

_RECORDS = {
    "cell": CELL.description,
    "epoch": "epoch in which the cell was taken, or the mail received",
    "class": ELITES["class"].description,
    "id": "genome id",
    "parents": ELITES["parents"].description,
    "operator": _OPERATOR,
    "island": ELITES["island"].description,
    "generation": ELITES["generation"].description,
    "claimed": "the child came by mail",
    "confidence": ELITES["confidence"].description,
    "kind": _letters(Letter.CLAIM, Letter.MIGRANT),
    "sender": MAIL["sender"].description,
    "receiver": "island that received it",
    "accepted": "took the cell, or joined the held migrants",
}


def _columns(schema: records.Schema) -> dict[str, Column]:
    return {
        name: Column(dtype, _RECORDS[name], ("parent",) if shape else ())
        for name, (dtype, shape) in schema.items()
    }


def history_schema(layout: CellLayout) -> Mapping[str, Column]:
    """Return the columns of a history."""
    return _columns(records.history(layout))


MIGRATIONS: Mapping[str, Column] = _columns(records.MIGRATIONS)

ROW_DIGESTS = Column(np.uint8, f"the first {DIGEST_BYTES} bytes of each row's sha256", ("byte",))

ANCESTORS: Mapping[str, Column] = {
    "id": ELITES["id"],
    "parents": ELITES["parents"],
    "alive": Column(np.bool_, "some elite or letter descends from it; rows of others await removal"),
    "digest": ROW_DIGESTS,
}
"""Columns of the genomes that lost their cells to their descendants."""

BOARDS = Column(np.float32, "fitness of every cell at the end of each epoch in transit", ("class",))
CURVES = Column(
    np.float32,
    "confidence of every cell at the end of each epoch",
    ("class",),
    chunk=64,
    chunk_bytes=1 << 16,
    units="1",
)


SCORES: Mapping[str, Column] = {
    "id": Column(np.int64, "genome that was scored; -1: none yet", fill=-1),
    "epoch": Column(np.int32, "epoch of the checkpoint that it was an elite of", fill=-1),
    "target_probability": Column(np.float32, "probability of the row's own class", units="1"),
    "target_rank": Column(np.int32, "rank of the row's own class among all classes, 1 for the top"),
    "top1": Column(np.int32, "class of the highest probability", fill=-1),
    "top1_probability": Column(np.float32, "its probability", units="1"),
    "probabilities": ELITES["probabilities"],
}
"""Columns of the scores of one held-out network; `probabilities` only where they were asked for."""

_SCORE_FIELDS = {"id": "ids", "epoch": "epochs"}


def genome_column(field: str, dtype: np.dtype[np.generic]) -> Column:
    """Describe the array of one field of a genome."""
    return Column(
        dtype.type,
        f"genomes, field {field}",
        (f"{field}_entry",),
        chunk=GENOME_CHUNK,
        chunk_bytes=GENOME_BYTES,
    )


def run_path(run: int) -> str:
    """Return the group of run `run`."""
    return f"{STAGE}/run-{run}"


def elite_arrays(elites: Elites) -> Arrays:
    """Return the columns of `elite_schema`, each with one row per elite."""
    arrays: Arrays = {"class": elites.classes}
    arrays |= {name: getattr(elites, field) for name, field in _FIELDS.items()}
    if elites.per_class > 1:
        arrays["cell"] = elites.cells % np.int32(elites.per_class)
    return {**arrays, "confidence": elites.confidence}


def elites_from(arrays: Mapping[str, npt.NDArray[np.generic]], genomes: Arrays, per_class: int = 1) -> Elites:
    """Invert `elite_arrays`; other columns are ignored."""
    columns: dict[str, Any] = {field: arrays[name] for name, field in _FIELDS.items()}
    cells = cells_of(arrays, per_class)
    return Elites(cells=cells, **columns, genomes=genomes, per_class=per_class)


def cells_of(arrays: Mapping[str, npt.NDArray[Any]], per_class: int) -> npt.NDArray[np.int32]:
    """Return which of all cells each row is of, where a class has so many."""
    classes: npt.NDArray[np.int32] = arrays["class"]
    if per_class == 1:
        return classes
    cells: npt.NDArray[np.int32] = classes * np.int32(per_class) + arrays["cell"]
    return cells


def mail_arrays(mail: Mail) -> Arrays:
    """Return the columns of `MAIL` and `elite_schema`, each with one row per letter."""
    arrays: Arrays = {name: getattr(mail, field) for name, field in _MAIL_FIELDS.items()}
    return {**arrays, **elite_arrays(mail.elites)}


def mail_from(
    arrays: Mapping[str, npt.NDArray[np.generic]],
    genomes: Arrays,
    boards: npt.NDArray[np.float32],
    counters: tuple[Counters, ...],
    per_class: int = 1,
) -> Mail:
    """Invert `mail_arrays`."""
    columns = {field: arrays[name] for name, field in _MAIL_FIELDS.items()}
    return Mail(**columns, elites=elites_from(arrays, genomes, per_class), boards=boards, counters=counters)  # type: ignore[arg-type]


def counter_arrays(counters: Sequence[Counters]) -> Arrays:
    """Return the columns of `COUNTERS`, in the order of islands and ids; none where nobody counts."""
    if not counters:
        return {}
    sizes = list(map(len, counters))
    return {
        "island": np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
        "id": np.concatenate([each.ids for each in counters]),
        "children": np.concatenate([each.children for each in counters]),
    }


def counters_from(arrays: Mapping[str, npt.NDArray[Any]], islands: int) -> tuple[Counters, ...]:
    """Invert `counter_arrays` for so many islands."""
    if not arrays:
        return ()
    rows = [arrays["island"] == island for island in range(islands)]
    return tuple(Counters(arrays["id"][own], arrays["children"][own]) for own in rows)


def scores_path(run: int, name: str, fingerprint: str) -> str:
    """Return the group of the scores of a held-out network; its name made safe, and told from others."""
    safe = re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[:60]
    return f"{run_path(run)}/scores/{safe}-{fingerprint[:8]}"


def score_arrays(scores: Scores) -> Arrays:
    """Return the columns of `SCORES` that there are."""
    columns = scores.columns()
    fields = ((name, _SCORE_FIELDS.get(name, name)) for name in SCORES)
    return {name: columns[field] for name, field in fields if field in columns}


def scores_from(arrays: Mapping[str, npt.NDArray[np.generic]]) -> Scores:
    """Invert `score_arrays`."""
    return Scores(**{_SCORE_FIELDS.get(name, name): array for name, array in arrays.items()})  # type: ignore[arg-type]


def scores_digest(scores: Scores) -> str:
    """Return a sha256 over every dtype, shape and bit."""
    total = sha256()
    _add(total, score_arrays(scores))
    return total.hexdigest()


def digest(epoch: int, elites: Elites, mail: Mail, evaluations: int) -> str:
    """Return a sha256 over what a resume reads of a run, but for ancestors: every dtype, shape and bit.

    The digest of a run in stores of version 1; see `islands.store.digests` for those of today.
    """
    tables: tuple[Arrays, ...] = (
        elite_arrays(elites),
        elites.genomes,
        mail_arrays(mail),
        mail.elites.genomes,
        {"boards": mail.boards},
    )
    return sha256_of(f"{epoch} {evaluations}", tables)


def ancestors_digest(ancestors: Ancestors) -> str:
    """Return a sha256 over every dtype, shape and bit of `ancestors`: their digest in stores of version 1."""
    return sha256_of("ancestors", ({"id": ancestors.ids, "parents": ancestors.parents}, ancestors.genomes))


def sha256_of(start: str, tables: Sequence[Arrays]) -> str:
    """Return a sha256 over a text and every dtype, shape and bit of the tables."""
    total = sha256(start.encode())
    for arrays in tables:
        _add(total, arrays)
    return total.hexdigest()


def _add(total: Hash, arrays: Arrays) -> None:
    # Sorted: what is read back may come in another order than it was written in.
    for name, array in sorted(arrays.items()):
        total.update(f"{name} {array.dtype} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
