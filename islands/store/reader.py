"""Reading stores, while they are written or after. Imports neither torch nor ray."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydantic
import zarr

from islands.config import RunConfig, stored_run_config
from islands.config.own_code import Fingerprints
from islands.errors import StoreDamagedError, StoreError, StoreVersionError
from islands.evolution import records
from islands.evolution.ancestors import Ancestors
from islands.evolution.cells import CellLayout
from islands.evolution.checkpoint import Checkpoint, Mail, RunCheckpoint
from islands.evolution.counters import Counters
from islands.evolution.elites import Arrays, Elites, best_cells
from islands.evolution.scores import HeldOutScores, Scores
from islands.search.choices import own_emitters
from islands.store import digests, schema
from islands.store.ancestor_table import AncestorTable
from islands.store.bucket_lock import read_bucket_owner
from islands.store.checkpoints import CheckpointInfo, list_checkpoints, open_checkpoint
from islands.store.digests import require_equal, require_same
from islands.store.location import Location
from islands.store.lock import read_holder
from islands.store.owner import Owner, is_alive
from islands.store.repository import open_repository, open_root, reading
from islands.texts import islands_command

_ATTRIBUTES = (
    ("config",),
    ("fingerprint",),
    ("image", "channels"),
    ("image", "size"),
    ("stages", schema.STAGE, "complete"),
    ("stages", schema.STAGE, "epoch"),
    ("versions", "islands"),
)
"""What must be there: a flipped bit may change a name."""


class StoreReader:
    """A store as it was at one commit; what is written later does not show.

    Args:
        location: the store's path or URL.
        at: a snapshot id, an epoch or a tag of `checkpoints()`; None for the latest.

    Raises:
        StoreNotFoundError: there is no store at `location`.
        StoreVersionError: another schema version.
        StoreDamagedError: it cannot be read; any method may raise it.
        InputError: there is no checkpoint `at`.
    """

    def __init__(self, location: Location | Path | str, at: str | int | None = None) -> None:
        self.path = Location.of(location)
        self._repository = open_repository(self.path)
        self.session = open_checkpoint(self.path, self._repository, at)
        self._read(open_root(self.path, self.session))

    def _read(self, root: zarr.Group) -> None:
        """Begin with `root`, of which nothing has been read or checked yet."""
        self._root = root
        self._intact: set[int] = set()
        self._opened: dict[str, zarr.Array[Any]] = {}
        self._parts: dict[int, dict[str, Any]] = {}
        self._best: dict[int, npt.NDArray[np.intp]] = {}
        self._row_digests: dict[tuple[int, str], tuple[digests.Ids, digests.RowDigests]] = {}

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The root attributes: see `StoreWriter.create`."""
        found = dict(self._root.attrs.asdict())
        with reading(self.path, "what it says of itself"):
            for keys in _ATTRIBUTES:
                value: Any = found
                for key in keys:
                    value = value[key]
        return found

    @property
    def code(self) -> Fingerprints:
        """What somebody else's code was when the run began; of stores of before, nothing is known."""
        known: Fingerprints = self.attributes.get("code", {})
        return known

    @cached_property
    def operators(self) -> tuple[str, ...]:
        """How genomes come to be, by the code that elites and history have."""
        return schema.operator_names(own_emitters(self.config.evolve.emitters))

    @cached_property
    def config(self) -> RunConfig:
        """What the run is made of.

        Raises:
            StoreVersionError: this version of Islands does not know the stored configuration.
        """
        try:
            return stored_run_config(self.attributes["config"])
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            wrote = self.attributes["versions"]["islands"]
            raise StoreVersionError(
                f"{self.path} holds a configuration that this Islands does not know"
                f" ({key}: {first['msg']}); use Islands {wrote}, which wrote it"
            ) from error

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The K class names, in the order of the network's outputs."""
        return tuple(str(name) for name in self._array("classes/names"))

    @property
    def runs(self) -> int:
        """The number of runs."""
        return self.config.runs

    @property
    def writer(self) -> Owner | None:
        """The process that writes to the store now; None where there is none."""
        if self.path.is_local:
            return read_holder(self.path.path)
        with reading(self.path, "its lock"):
            owner = read_bucket_owner(self._repository)
        return owner if owner is not None and is_alive(owner) else None

    @property
    def size(self) -> int:
        """Bytes on disk; in a bucket those of chunks."""
        if self.path.is_local:
            return _size(self.path.path)
        with reading(self.path, "its size"):
            stored = self._repository.chunk_storage_stats()
            return int(stored.native_bytes + stored.inlined_bytes)

    @property
    def complete(self) -> bool:
        """Whether evolution has spent its budget."""
        return bool(self.attributes["stages"][schema.STAGE]["complete"])

    @property
    def epoch(self) -> int | None:
        """The epoch of the checkpoint; None before the first."""
        epoch: int | None = self.attributes["stages"][schema.STAGE]["epoch"]
        return epoch

    @property
    def conditions(self) -> tuple[dict[str, Any], ...]:
        """What the bits of results depend on beside the configuration: threads, device, versions and so on.

        A record for each change, the first of epoch 0; `epoch` is the first that was computed so.
        """
        with reading(self.path, "what it was computed with"):
            stored: Any = self.attributes.get("conditions")
            if stored is None:  # a store of an earlier version
                threads, versions = self.config.workers.threads, self.attributes["versions"]
                stored = [{"epoch": 0, "threads": threads, "torch": versions["torch"]}]
            return tuple({**record, "epoch": int(record["epoch"])} for record in stored)

    @property
    def queries(self) -> dict[str, int]:
        """How many images served networks had been asked about by then, by all runs of the machine."""
        with reading(self.path, "how often networks were asked"):
            stored: Any = self.attributes.get("queries", {})
            return {str(name): int(asked) for name, asked in stored.items()}

    @property
    def generation(self) -> int:
        """The generation of the checkpoint.

        Raises:
            StoreError: there is no checkpoint yet.
        """
        return self._checkpoint_epoch() * self.config.evolve.generations_per_epoch

    def evaluations(self, run: int) -> int:
        """Return the number of images scored so far."""
        with reading(self.path, f"the attributes of run {run}"):
            return int(self._described(run)["evaluations"])

    def not_finite(self, run: int) -> int:
        """Return the number of images so far that got no finite scores and were skipped."""
        with reading(self.path, f"the attributes of run {run}"):
            # Stores of old have no such number: there were none.
            return int(self._described(run).get("not_finite", 0))

    def digest(self, run: int) -> str:
        """Return the sha256 of everything that a run has at this checkpoint; equal ones have equal bits."""
        return str(self._described(run)["digest"])

    @cached_property
    def layout(self) -> CellLayout:
        """How the cells of a class lie: one in the paper."""
        return self.config.evolution.layout

    def cells(self, run: int) -> Elites:
        """Return the elites of all cells in order; ids of -1 mark empty cells.

        Raises:
            StoreError: there is no checkpoint yet, or no such run.
        """
        if self._is_whole(run):
            return self._version_1(run).elites
        columns = self.cell_columns(run, *digests.narrow(self.layout.per_class), "probabilities")
        return schema.elites_from(columns, self.cell_genomes(run), self.layout.per_class)

    def cell_columns(self, run: int, *names: str) -> Arrays:
        """Return some columns of `schema.elite_schema`, a row a cell; what is not named is not read."""
        path = self._run(run)
        if self._is_whole(run):
            self._require_intact(run)
            return {name: self._array(f"{path}/elites/{name}") for name in names}
        return {
            name: self._cell_probabilities(run)
            if name == "probabilities"
            else self._part(run, f"elites/{name}")
            for name in names
        }

    def cell_genomes(self, run: int, cells: slice = slice(None)) -> Arrays:
        """Return the arrays of the genomes of `cells`, each (n, width)."""
        path = f"{self._run(run)}/genomes"
        return self._rows_of(run, "genomes", _paths(path, self._names(path)), cells)

    def _cell_probabilities(self, run: int, cells: slice = slice(None)) -> npt.NDArray[np.float32]:
        path = f"{self._run(run)}/elites/probabilities"
        found = self._rows_of(run, "probabilities", {"probabilities": path}, cells)["probabilities"]
        return found.astype(np.float32, copy=False)

    def best_cells(self, run: int) -> npt.NDArray[np.intp]:
        """Return the cell of each class whose elite has the highest fitness: (K,).

        All that follows of elites, by class, is of these.
        """
        if run not in self._best:
            k, per_class = len(self.classes), self.layout.per_class
            self._best[run] = (
                np.arange(k)
                if per_class == 1
                else best_cells(self.cell_columns(run, "fitness")["fitness"].astype(np.float32), per_class)
            )
        return self._best[run]

    def elites(self, run: int) -> Elites:
        """Return K rows in class order; ids of -1 mark classes without an elite.

        Raises:
            StoreError: there is no checkpoint yet, or no such run.
        """
        return self.cells(run).of_classes()

    def elite_columns(self, run: int, *names: str) -> Arrays:
        """Return some columns of `schema.elite_schema`, K rows each; what is not named is not read."""
        columns = self.cell_columns(run, *names)
        if self.layout.per_class == 1:
            return columns
        best = self.best_cells(run)
        return {name: column[best] for name, column in columns.items()}

    def confidence(self, run: int) -> npt.NDArray[np.float32]:
        """Return the confidence of every class's elite, (K,) float32; 0 where there is none."""
        return self.elite_columns(run, "confidence")["confidence"].astype(np.float32, copy=False)

    def probabilities(self, run: int, classes: slice = slice(None)) -> npt.NDArray[np.float32]:
        """Return the scores of the elites of `classes` over all classes: (n, K) float32."""
        cells, rows = self._cells_of(run, classes)
        return self._cell_probabilities(run, cells)[rows]

    def genomes(self, run: int, classes: slice = slice(None)) -> Arrays:
        """Return the arrays of the genomes of the elites of `classes`, each (n, width)."""
        cells, rows = self._cells_of(run, classes)
        return {name: array[rows] for name, array in self.cell_genomes(run, cells).items()}

    def genome(self, run: int, class_: int) -> Arrays:
        """Return the arrays of one elite's genome, each (1, width)."""
        return self.genomes(run, slice(class_, class_ + 1))

    def _cells_of(self, run: int, classes: slice) -> tuple[slice, slice | npt.NDArray[np.intp]]:
        """Return which cells to read for the elites of `classes`, and which of their rows these are."""
        per_class = self.layout.per_class
        if per_class == 1:
            return classes, slice(None)
        chosen = range(len(self.classes))[classes]
        first = chosen.start * per_class
        return slice(first, chosen.stop * per_class), self.best_cells(run)[classes] - first

    def history(self, run: int) -> records.Rows:
        """Return every improvement so far: columns of `records.history`."""
        names = schema.history_schema(self.layout)
        return self._added(run, "history", _paths(f"{self._run(run)}/history", names))

    def migrations(self, run: int) -> records.Rows:
        """Return every elite received so far: columns of `records.MIGRATIONS`."""
        return self._added(run, "migrations", _paths(f"{self._run(run)}/migrations", schema.MIGRATIONS))

    def curves(self, run: int, epochs: int | None = None) -> npt.NDArray[np.float32]:
        """Return the confidence of every class's elite at the end of each epoch: (epoch + 1, K) float32.

        Args:
            run: counted from 0.
            epochs: how many rows, from generation 0 on; None: all.
        """
        curves = self.cell_curves(run, epochs)
        per_class = self.layout.per_class
        if per_class == 1:
            return curves
        best: npt.NDArray[np.float32] = np.fmax.reduce(curves.reshape(len(curves), -1, per_class), axis=2)
        return np.nan_to_num(best)

    def cell_curves(self, run: int, epochs: int | None = None) -> npt.NDArray[np.float32]:
        """Return the same of every cell: (epoch + 1, cells) float32; the places of a bin by fitness.

        Where classes have several cells, NaN says that one is empty.
        """
        paths = {"curves": f"{self._run(run)}/curves"}
        return self._added(run, "curves", paths, epochs)["curves"].astype(np.float32, copy=False)

    def ancestors(self, run: int) -> Ancestors | None:
        """Return the genomes that today's elites descend from; None where only their ids are kept.

        Raises:
            StoreDamagedError: they are not what was written.
        """
        table = self.ancestor_table(run)
        if table is None:
            return None
        return Ancestors(table.ids, table.parents, table.genomes(slice(None)))

    def ancestor_table(self, run: int) -> AncestorTable | None:
        """Return the same, with genomes that are read when they are asked for."""
        path = f"{self._run(run)}/ancestors"
        with reading(self.path, path):
            expected: Any = self._described(run).get("ancestors")
            if expected is None:
                return None
            # Stores of version 1 have one digest of all ancestors, and none of each.
            names = [name for name in schema.ANCESTORS if name != "digest" or "rows" in expected]
            stored = self._columns(path, *names)
            rows = np.flatnonzero(stored["alive"])
            rows = rows[np.argsort(stored["id"][rows])]
            columns: dict[str, npt.NDArray[Any]] = {name: column[rows] for name, column in stored.items()}
            if "rows" in expected:
                found = digests.of_ancestors(columns["id"], columns["parents"], columns["digest"])
                require_equal(found, expected["rows"])
            table = AncestorTable(
                ids=columns["id"],
                parents=columns["parents"],
                digests=columns.get("digest"),
                places=rows,
                arrays={name: self._stored(f"{path}/genomes/{name}") for name in expected["widths"]},
                widths=expected["widths"],
                path=self.path,
            )
            if "rows" not in expected:
                whole = Ancestors(table.ids, table.parents, table.genomes(slice(None)))
                require_equal(schema.ancestors_digest(whole), expected["digest"])
        return table

    def scores(self) -> tuple[HeldOutScores, ...]:
        """Return what held-out networks said of the elites, in the order of their groups' names.

        A row is of the genome `ids` and the checkpoint `epochs`, which may be earlier than this one.

        Raises:
            StoreDamagedError: they are not what was written.
        """
        return tuple(self._scores(key) for key in self._score_keys())

    def _network_described(self, key: str) -> dict[str, Any]:
        """Return what is stored of a held-out network beside its scores."""
        path = f"{self._run(0)}/scores/{key}"
        with reading(self.path, path):
            found: dict[str, Any] = dict(self._root[path].attrs.asdict())
            return {name: found[name] for name in ("network", "settings", "fingerprint")}

    def held_out_names(self) -> dict[str, str]:
        """Return what the networks of `scores()` are called, by fingerprint."""
        described = map(self._network_described, self._score_keys())
        return {attributes["fingerprint"]: attributes["network"] for attributes in described}

    def intact_scores(self) -> tuple[HeldOutScores, ...]:
        """Return the scores of those networks whose scores can be read."""
        found = []
        # The list of networks may be damaged itself.
        with suppress(StoreDamagedError):
            for key in self._score_keys():
                with suppress(StoreDamagedError):
                    found.append(self._scores(key))
        return tuple(found)

    def checkpoints(self) -> list[CheckpointInfo]:
        """Return all checkpoints of the store, the oldest first."""
        return list_checkpoints(self.path, self._repository)

    def checkpoint(self) -> Checkpoint | None:
        """Return what a resume needs; None before the first checkpoint.

        History, migrations and curves are empty, and no row is marked as changed. The rest is checked against
        the digest that was stored with it; scores that cannot be read are left out, to be made again.
        """
        if self.epoch is None:
            return None
        runs = (replace(self.resumable(run), ancestors=self.ancestors(run)) for run in range(self.runs))
        return Checkpoint(self.epoch, tuple(runs), self.intact_scores())

    def resumable(self, run: int) -> RunCheckpoint:
        """Return what a resume needs of one run but for ancestors, checked against its digests.

        Raises:
            StoreDamagedError: it is not what was written.
        """
        if self._is_whole(run):
            return self._version_1(run)
        elites, mail = self.cells(run), self._mail(run)
        with reading(self.path, f"the mail of run {run}"):
            require_equal(digests.of_mail(mail), self._described(run)["parts"]["islands"])
        return self._run_checkpoint(run, elites, mail)

    def _run_checkpoint(self, run: int, elites: Elites, mail: Mail) -> RunCheckpoint:
        cells = len(elites)
        return RunCheckpoint(
            elites=elites,
            changed=np.zeros(cells, np.bool_),
            mail=mail,
            history=records.empty(records.history(self.layout)),
            migrations=records.empty(records.MIGRATIONS),
            curves=np.empty((0, cells), np.float32),
            evaluations=self.evaluations(run),
            not_finite=self.not_finite(run),
        )

    def require_intact(self) -> None:
        """Check all that a resume needs or adds to.

        Raises:
            StoreDamagedError: something of it cannot be read.
        """
        self.checkpoint()
        for run in range(self.runs) if self.epoch is not None else ():
            self.history(run), self.migrations(run), self.curves(run)

    def _described(self, run: int) -> dict[str, Any]:
        """Return the attributes of a run's group, which the digest of its parts belongs to."""
        if run not in self._parts:
            epoch = self._checkpoint_epoch()
            with reading(self.path, f"run {run}"):
                found: dict[str, Any] = dict(self._root[self._run(run)].attrs.asdict())
                if "parts" in found:
                    whole = digests.of_run(epoch, found["evaluations"], found["parts"], found["blocks"])
                    require_equal(whole, found["digest"])
            self._parts[run] = found
        return self._parts[run]

    def _is_whole(self, run: int) -> bool:
        """Tell whether the run has one digest for everything, as stores of version 1 do."""
        return "parts" not in self._described(run)

    def _version_1(self, run: int) -> RunCheckpoint:
        """Return what a resume needs of a run that has one digest for everything, checked against it."""
        path = self._run(run)
        columns = self._columns(f"{path}/elites", *(name for name in schema.ELITES if name != "confidence"))
        elites = schema.elites_from(columns, self._arrays(f"{path}/genomes"))
        mail, evaluations = self._mail(run), self.evaluations(run)
        with reading(self.path, f"run {run}"):
            # A flipped bit in Icechunk's index can hide a chunk, which Zarr then reads as never written.
            digest = schema.digest(self._checkpoint_epoch(), elites, mail, evaluations)
            require_equal(digest, self._described(run)["digest"])
        self._intact.add(run)
        return self._run_checkpoint(run, elites, mail)

    def _require_intact(self, run: int) -> None:
        """Check the digest of a run that has one for everything, once."""
        if run not in self._intact:
            self._version_1(run)

    def _part(self, run: int, part: str) -> npt.NDArray[Any]:
        """Return an array that has a digest of its own."""
        path = f"{self._run(run)}/{part}"
        column = self._array(path)
        with reading(self.path, path):
            require_equal(digests.of_column(column), self._described(run)["parts"][part])
        return column

    def _rows_of(self, run: int, table: str, paths: Mapping[str, str], rows: slice) -> Arrays:
        """Return rows of arrays that have a digest of each row: those of `digests.row_tables`."""
        if self._is_whole(run):
            self._require_intact(run)
            return {name: self._array(path, rows) for name, path in paths.items()}
        # The digests are checked once, the rows that they are of each time they are read.
        if (run, table) not in self._row_digests:
            part = f"digests/{table}"
            path = f"{self._run(run)}/{part}"
            stored = self._array(path)
            with reading(self.path, path):
                arrays = {name: self._stored(path) for name, path in paths.items()}
                require_equal(digests.of_digests(stored, arrays), self._described(run)["parts"][part])
            self._row_digests[run, table] = self._part(run, "elites/id"), stored
        ids, expected = self._row_digests[run, table]
        found = {name: self._array(path, rows) for name, path in paths.items()}
        with reading(self.path, f"{table} of run {run}"):
            require_same(digests.of_rows(ids[rows], found), expected[rows])
        return found

    def _added(self, run: int, table: str, paths: Mapping[str, str], most: int | None = None) -> Arrays:
        """Return the first `most` rows of arrays that are only ever added to."""
        described, size = self._described(run), digests.BLOCK_ROWS[table]
        # Whole blocks: of less than a block no digest can be checked.
        whole = None if most is None else -(-most // size)
        rows = {name: self._array(path, slice(whole and whole * size)) for name, path in paths.items()}
        if "blocks" in described:  # stores of version 1 have none
            with reading(self.path, f"{table} of run {run}"):
                require_equal(digests.of_blocks(rows, size), described["blocks"][table][:whole])
        return {name: column[:most] for name, column in rows.items()}

    def _mail(self, run: int) -> Mail:
        path = f"{self._run(run)}/islands"
        per_class = self.layout.per_class
        names = (*schema.MAIL, *(name for name in schema.elite_schema(per_class) if name != "confidence"))
        boards = self._array(f"{path}/boards").astype(np.float32, copy=False)
        counters = self._counters(f"{path}/counters")
        return schema.mail_from(
            self._columns(path, *names), self._arrays(f"{path}/genomes"), boards, counters, per_class
        )

    def _counters(self, path: str) -> tuple[Counters, ...]:
        with reading(self.path, path):
            there = self._root.get(path) is not None
        arrays = self._columns(path, *schema.COUNTERS) if there else {}
        return schema.counters_from(arrays, self.config.islands.count)

    def _score_keys(self) -> list[str]:
        path = f"{self._run(0)}/scores"
        with reading(self.path, path):
            group = self._root.get(path)
            return sorted(group.group_keys()) if isinstance(group, zarr.Group) else []

    def _scores(self, key: str) -> HeldOutScores:
        described = self._network_described(key)
        return HeldOutScores(
            name=described["network"],
            settings=described["settings"],
            fingerprint=described["fingerprint"],
            runs=tuple(self._scores_of(f"{self._run(run)}/scores/{key}") for run in range(self.runs)),
        )

    def _scores_of(self, path: str) -> Scores:
        scores = schema.scores_from(self._arrays(path))
        with reading(self.path, path):
            require_equal(schema.scores_digest(scores), self._root[path].attrs["digest"])
        return scores

    def _checkpoint_epoch(self) -> int:
        if self.epoch is None:
            raise StoreError(
                f"{self.path} has no checkpoint yet: wait for the first if it is being written,"
                f" else `{islands_command('resume', self.path)}`"
            )
        return self.epoch

    def _run(self, run: int) -> str:
        if not 0 <= run < self.runs:
            raise StoreError(f"{self.path} has no run {run}; it has runs 0 to {self.runs - 1}")
        return schema.run_path(run)

    def _names(self, path: str) -> list[str]:
        with reading(self.path, path):
            group = self._root[path]
            assert isinstance(group, zarr.Group)
            return sorted(group.array_keys())

    def _arrays(self, path: str) -> Arrays:
        return self._columns(path, *self._names(path))

    def _columns(self, path: str, *names: str) -> Arrays:
        return {name: self._array(f"{path}/{name}") for name in names}

    def _array(self, path: str, rows: slice = slice(None)) -> npt.NDArray[Any]:
        with reading(self.path, path):
            return np.asarray(self._stored(path)[rows])

    def _stored(self, path: str) -> zarr.Array[Any]:
        # To open an array takes as long as to read a small one.
        if path not in self._opened:
            array = self._root[path]
            assert isinstance(array, zarr.Array)
            self._opened[path] = array
        return self._opened[path]


def _paths(group: str, names: Iterable[str]) -> dict[str, str]:
    return {name: f"{group}/{name}" for name in names}


def _size(folder: Path | str) -> int:
    """Return the bytes of all files; a store may have a hundred thousand."""
    total = 0
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:  # a writer clears up meanwhile
        return 0
    for entry in entries:
        with suppress(FileNotFoundError):
            total += _size(entry.path) if entry.is_dir() else entry.stat().st_size
    return total
