"""Reading stores, while they are written or after. Imports neither torch nor ray."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import numpy.typing as npt
import pydantic
import zarr

from islands.config import RunConfig, stored_run_config
from islands.errors import InputError, StoreDamagedError, StoreError, StoreVersionError
from islands.evolution import records
from islands.evolution.ancestors import Ancestors
from islands.evolution.checkpoint import Checkpoint, Mail, RunCheckpoint
from islands.evolution.elites import Arrays, Elites
from islands.evolution.scores import HeldOutScores, Scores
from islands.store import schema
from islands.store.bucket_lock import read_bucket_owner
from islands.store.location import Location
from islands.store.lock import read_holder
from islands.store.owner import Owner, is_alive
from islands.store.repository import (
    CheckpointInfo,
    find_checkpoints,
    list_checkpoints,
    open_repository,
    open_root,
    reading,
)

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
        self.session = self._open(at)
        self._root = open_root(self.path, self.session)
        self._intact: set[int] = set()

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
    def generation(self) -> int:
        """The generation of the checkpoint.

        Raises:
            StoreError: there is no checkpoint yet.
        """
        return self._checkpoint_epoch() * self.config.evolve.generations_per_epoch

    def evaluations(self, run: int) -> int:
        """Return the number of images scored so far."""
        with reading(self.path, f"the attributes of run {run}"):
            return int(self._root[self._run(run)].attrs["evaluations"])  # type: ignore[arg-type]

    def not_finite(self, run: int) -> int:
        """Return the number of images so far that got no finite scores and were skipped."""
        with reading(self.path, f"the attributes of run {run}"):
            # Stores of old have no such number: there were none.
            return int(self._root[self._run(run)].attrs.get("not_finite", 0))  # type: ignore[arg-type]

    def elites(self, run: int) -> Elites:
        """Return K rows in class order; ids of -1 mark empty cells.

        Raises:
            StoreError: there is no checkpoint yet, or no such run.
        """
        return self.resumable(run).elites

    def elite_columns(self, run: int, *names: str) -> Arrays:
        """Return some columns of `schema.ELITES`, K rows each."""
        self._require_intact(run)
        return {name: self._array(f"{self._run(run)}/elites/{name}") for name in names}

    def genome(self, run: int, class_: int) -> Arrays:
        """Return the arrays of one elite's genome, each (1, width)."""
        self._require_intact(run)
        path = f"{self._run(run)}/genomes"
        return {name: self._array(f"{path}/{name}", slice(class_, class_ + 1)) for name in self._names(path)}

    def history(self, run: int) -> records.Rows:
        """Return every improvement so far: columns of `records.HISTORY`."""
        self._checkpoint_epoch()
        return self._columns(f"{self._run(run)}/history", *schema.HISTORY)

    def migrations(self, run: int) -> records.Rows:
        """Return every elite received so far: columns of `records.MIGRATIONS`."""
        self._checkpoint_epoch()
        return self._columns(f"{self._run(run)}/migrations", *schema.MIGRATIONS)

    def curves(self, run: int) -> npt.NDArray[np.float32]:
        """Return the confidence of every cell at the end of each epoch: (epoch + 1, K) float32."""
        self._checkpoint_epoch()
        return self._array(f"{self._run(run)}/curves").astype(np.float32, copy=False)

    def ancestors(self, run: int) -> Ancestors | None:
        """Return the genomes that today's elites descend from; None where only their ids are kept.

        Raises:
            StoreDamagedError: they are not what was written.
        """
        path = f"{self._run(run)}/ancestors"
        with reading(self.path, path):
            expected: Any = self._root[self._run(run)].attrs.get("ancestors")
            if expected is None:
                return None
            stored = self._columns(path, *schema.ANCESTORS)
            rows = np.flatnonzero(stored["alive"])
            rows = rows[np.argsort(stored["id"][rows])]
            genomes = {
                name: np.ascontiguousarray(self._array(f"{path}/genomes/{name}")[rows, :width])
                for name, width in expected["widths"].items()
            }
            found = Ancestors(stored["id"][rows], stored["parents"][rows], genomes)  # type: ignore[arg-type]
            if schema.ancestors_digest(found) != expected["digest"]:
                raise ValueError("its content is not what was written")
        return found

    def scores(self) -> tuple[HeldOutScores, ...]:
        """Return what held-out networks said of the elites, in the order of their groups' names.

        A row is of the genome `ids` and the checkpoint `epochs`, which may be earlier than this one.

        Raises:
            StoreDamagedError: they are not what was written.
        """
        return tuple(self._scores(key) for key in self._score_keys())

    def _described(self, key: str) -> dict[str, Any]:
        """Return what is stored of a held-out network beside its scores."""
        path = f"{self._run(0)}/scores/{key}"
        with reading(self.path, path):
            found: dict[str, Any] = dict(self._root[path].attrs.asdict())
            return {name: found[name] for name in ("network", "settings", "fingerprint")}

    def held_out_names(self) -> dict[str, str]:
        """Return what the networks of `scores()` are called, by fingerprint."""
        described = map(self._described, self._score_keys())
        return {attributes["fingerprint"]: attributes["network"] for attributes in described}

    def intact_scores(self) -> tuple[HeldOutScores, ...]:
        """Return the scores of those networks whose scores can be read."""
        found = []
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
        """Return what a resume needs of one run but for ancestors, checked against its digest.

        Raises:
            StoreDamagedError: it is not what was written.
        """
        k = len(self.classes)
        elites, mail, evaluations = self._elites(run), self._mail(run), self.evaluations(run)
        with reading(self.path, f"run {run}"):
            # A flipped bit in Icechunk's index can hide a chunk, which Zarr then reads as never written.
            digest = schema.digest(self._checkpoint_epoch(), elites, mail, evaluations)
            if digest != self._root[self._run(run)].attrs["digest"]:
                raise ValueError("its content is not what was written")
        self._intact.add(run)
        return RunCheckpoint(
            elites=elites,
            changed=np.zeros(k, np.bool_),
            mail=mail,
            history=records.empty(records.HISTORY),
            migrations=records.empty(records.MIGRATIONS),
            curves=np.empty((0, k), np.float32),
            evaluations=evaluations,
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

    def _require_intact(self, run: int) -> None:
        """Check the digest of a run, once."""
        if run not in self._intact:
            self.resumable(run)

    def _elites(self, run: int) -> Elites:
        self._checkpoint_epoch()
        path = self._run(run)
        columns = self._columns(f"{path}/elites", *(name for name in schema.ELITES if name != "confidence"))
        return schema.elites_from(columns, self._arrays(f"{path}/genomes"))

    def _mail(self, run: int) -> Mail:
        path = f"{self._run(run)}/islands"
        names = (*schema.MAIL, *(name for name in schema.ELITES if name != "confidence"))
        boards = self._array(f"{path}/boards").astype(np.float32, copy=False)
        return schema.mail_from(self._columns(path, *names), self._arrays(f"{path}/genomes"), boards)

    def _score_keys(self) -> list[str]:
        path = f"{self._run(0)}/scores"
        with reading(self.path, path):
            group = self._root.get(path)
            return sorted(group.group_keys()) if isinstance(group, zarr.Group) else []

    def _scores(self, key: str) -> HeldOutScores:
        described = self._described(key)
        return HeldOutScores(
            name=described["network"],
            settings=described["settings"],
            fingerprint=described["fingerprint"],
            runs=tuple(self._scores_of(f"{self._run(run)}/scores/{key}") for run in range(self.runs)),
        )

    def _scores_of(self, path: str) -> Scores:
        scores = schema.scores_from(self._arrays(path))
        with reading(self.path, path):
            if schema.scores_digest(scores) != self._root[path].attrs["digest"]:
                raise ValueError("its content is not what was written")
        return scores

    def _open(self, at: str | int | None) -> icechunk.Session:
        if at is None:
            with reading(self.path, "the latest commit"):
                return self._repository.readonly_session("main")
        checkpoints = find_checkpoints(self.path, self._repository)
        found = [info.id for info in checkpoints if str(at) in (info.id, str(info.epoch), *info.tags)]
        if not found:
            epochs = f"{checkpoints[0].epoch} to {checkpoints[-1].epoch}" if checkpoints else "none yet"
            raise InputError(
                f"{self.path} has no checkpoint {at}; its epochs are {epochs}:"
                f' islands query {self.path} "select epoch, id from checkpoints" lists them'
            )
        with reading(self.path, f"checkpoint {at}"):
            return self._repository.readonly_session(snapshot_id=found[-1])

    def _checkpoint_epoch(self) -> int:
        if self.epoch is None:
            raise StoreError(
                f"{self.path} has no checkpoint yet: wait for the first if it is being written,"
                f" else `islands resume {self.path}`"
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
            array = self._root[path]
            assert isinstance(array, zarr.Array)
            return np.asarray(array[rows])


def _size(path: Path) -> int:
    total = 0
    for file in path.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:  # a writer clears up meanwhile
            continue
    return total
