"""Writing checkpoints: one Icechunk commit each, by the only process that holds the lock."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import icechunk
import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import ZstdCodec

from islands.config import RunConfig
from islands.errors import StoreError, StoreExistsError
from islands.evolution.ancestors import Ancestors
from islands.evolution.checkpoint import Checkpoint, Mail, RunCheckpoint
from islands.evolution.elites import Arrays
from islands.evolution.scores import HeldOutScores
from islands.store import schema
from islands.store.bucket_lock import BucketLock
from islands.store.location import Location
from islands.store.lock import StoreLock, locked
from islands.store.reader import StoreReader
from islands.store.repository import (
    create_repository,
    exists,
    open_repository,
    open_root,
    reading,
    writing,
)
from islands.store.retention import forget, free, tag_once
from islands.store.schema import Column

_PACKAGES = ("islands", "torch", "numpy", "zarr", "icechunk", "ray")

_GENOME_ROOM = 32
"""Genomes of ancestors are stored in arrays whose width is a multiple of this."""

# Icechunk does not check what it reads from a disk; the checksum turns a flipped bit into an error.
_COMPRESSOR = ZstdCodec(level=1, checksum=True)


class StoreWriter:
    """The one writer of a store; made by `create` or `open`, a context manager.

    A commit is atomic: whenever the process dies, the store holds a whole checkpoint.
    """

    def __init__(self, path: Location, lock: StoreLock | BucketLock, repository: icechunk.Repository) -> None:
        self._path = path
        self._lock = lock
        self._repository = repository
        self._tip: str = repository.lookup_branch("main")
        self._config: RunConfig | None = None
        self._keep: int | None = None
        self._commits_since_sweep = 0

    @classmethod
    def create(
        cls,
        location: Path | str,
        config: RunConfig,
        classes: Sequence[str],
        fingerprint: str,
        *,
        channels: int,
        size: int,
    ) -> Self:
        """Make a store without a checkpoint yet, and lock it.

        Args:
            location: a path that is free, or an empty directory.
            config: what the run is made of.
            classes: K names, in the order of the network's outputs.
            fingerprint: of the source network.
            channels: 1 for grey images, 3 for RGB.
            size: height and width of the images that are scored, in pixels.

        Raises:
            StoreExistsError: something is there already.
            StoreLockedError: another process is making it.
        """
        require_free(location)
        path = Location.of(location)
        with writing(path):
            if path.is_local:
                path.path.mkdir(parents=True, exist_ok=True)
            # Icechunk wants the directory empty, so the lock comes second.
            repository = create_repository(path)
            writer = cls(path, _lock(path, repository), repository)
            try:
                writer._create_groups(config, classes, fingerprint, {"channels": channels, "size": size})
                writer._keep = config.checkpoint.keep
            except BaseException:
                writer.close()
                raise
        return writer

    @classmethod
    def open(cls, location: Path | str, *, break_lock: bool = False) -> Self:
        """Lock an existing store to go on writing, and clear what killed commits left on the disk.

        Args:
            location: its path.
            break_lock: take the lock from a writer that is dead or on another host.

        Raises:
            StoreNotFoundError: there is no store at `location`.
            StoreLockedError: another process writes to it.
            StoreVersionError: another schema version.
            StoreDamagedError: it cannot be read.
        """
        path = Location.of(location)
        repository = open_repository(path)
        writer = cls(path, _lock(path, repository, break_stale=break_lock), repository)
        try:
            session = repository.readonly_session("main")
            root = open_root(path, session)
            with reading(path, "the history of commits"):
                free(repository)
                stages: Any = root.attrs["stages"]
                writer._tag_if_complete(stages[schema.STAGE], session.snapshot_id)
        except BaseException:
            writer.close()
            raise
        return writer

    def set_config(self, config: RunConfig) -> None:
        """Replace the stored configuration; takes effect with the next commit."""
        self._config = config
        self._keep = config.checkpoint.keep

    def commit(self, checkpoint: Checkpoint, complete: bool) -> str:
        """Store a checkpoint as one commit, and return its snapshot id.

        Args:
            checkpoint: all runs; of the elites only chunks with `changed` rows are written.
            complete: whether the budget is spent.

        Raises:
            StoreError: it could not be written; the checkpoint before stands.
        """
        with writing(self._path):
            snapshot = self._commit(checkpoint, complete)
            self._commits_since_sweep += 1
            # A sweep reads every commit that is kept: one for several commits keeps its share small.
            if self._keep is not None and self._commits_since_sweep > self._keep // 4:
                # What is forgotten here is freed by the next sweep: until then readers can finish.
                free(self._repository)
                forget(self._repository, self._keep)
                self._commits_since_sweep = 0
        return snapshot

    def commit_scores(self, scores: Sequence[HeldOutScores]) -> str:
        """Store scores of the latest checkpoint as a commit of the same epoch, and return its snapshot id.

        Raises:
            StoreError: they could not be written, or there is no checkpoint; what was there before stands.
        """
        with writing(self._path):
            self._lock.require_held()
            latest = next(iter(self._repository.ancestry(branch="main")))
            if "epoch" not in latest.metadata:
                raise StoreError(f"{self._path} has no checkpoint yet: there is nothing to score")
            session = self._writable_session()
            root = open_root(self._path, session, mode="r+")
            _write_scores(root, scores)
            root.attrs.update(self._new_config())
            snapshot = self._save(session, f"scores of epoch {latest.metadata['epoch']}", latest.metadata)
            if self._path.is_local:
                os.sync()
        return snapshot

    def collect(self, keep: int | None) -> tuple[int, int]:
        """Forget all but the newest `keep` commits and the tagged ones; None: forget none.

        Returns:
            Commits forgotten, and bytes freed at once.
        """
        with writing(self._path):
            forgotten = 0 if keep is None else forget(self._repository, keep)
            return forgotten, free(self._repository)

    def tag(self, name: str, snapshot: str) -> None:
        """Name a commit, so that it is kept for good.

        Raises:
            StoreError: another commit has that name.
        """
        with writing(self._path):
            tag_once(self._repository, name, snapshot)
            if self._repository.lookup_tag(name) != snapshot:
                raise StoreError(f"{self._path} has another checkpoint tagged {name}; choose another name")

    def _commit(self, checkpoint: Checkpoint, complete: bool) -> str:
        self._lock.require_held()
        session = self._writable_session()
        root = open_root(self._path, session, mode="r+")
        for number, run in enumerate(checkpoint.runs):
            _write_run(root, number, run, checkpoint.epoch)
        _write_scores(root, checkpoint.scores)
        stage = {"complete": complete, "epoch": checkpoint.epoch}
        root.attrs.update({"stages": {schema.STAGE: stage}, **self._new_config()})
        snapshot = self._save(session, f"epoch {checkpoint.epoch}", _summary(checkpoint))
        self._tag_if_complete(stage, snapshot)
        if self._path.is_local:
            # Icechunk never calls fsync: without this a power loss could take the commit back.
            os.sync()
        return snapshot

    def _writable_session(self) -> icechunk.Session:
        """Return a session upon our own last commit.

        Raises:
            StoreLockedError: another process has committed since.
        """
        session = self._repository.writable_session("main")
        if session.snapshot_id != self._tip:
            raise locked(self._path, None)
        return session

    def _save(self, session: icechunk.Session, message: str, metadata: dict[str, Any]) -> str:
        try:
            self._tip = session.commit(message, metadata)
        except icechunk.ConflictError:
            raise locked(self._path, None) from None
        return self._tip

    def _new_config(self) -> dict[str, Any]:
        return {} if self._config is None else {"config": self._config.model_dump(mode="json")}

    def _tag_if_complete(self, stage: Mapping[str, Any], snapshot: str) -> None:
        if stage["complete"]:
            tag_once(self._repository, f"complete-{stage['epoch']}", snapshot)

    def load(self) -> Checkpoint | None:
        """Return the latest checkpoint; None where there is none.

        History, migrations and curves come back empty, and no row as changed: the next commit adds to them.

        Raises:
            StoreDamagedError: it cannot be read.
        """
        return StoreReader(self._path).checkpoint()

    def close(self) -> None:
        """Release the lock."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _create_groups(
        self, config: RunConfig, classes: Sequence[str], fingerprint: str, image: dict[str, int]
    ) -> None:
        session = self._repository.writable_session("main")
        root = zarr.open_group(session.store, mode="w-", zarr_format=3)
        root.attrs.update(
            {
                "schema_version": schema.SCHEMA_VERSION,
                "versions": {name: _version(name) for name in _PACKAGES},
                "config": config.model_dump(mode="json"),
                "fingerprint": fingerprint,
                "git_commit": _git_commit(),
                "seed": config.seed,
                "image": image,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "stages": {schema.STAGE: {"complete": False, "epoch": None}},
            }
        )
        _create_names(root, classes)
        for run in range(config.runs):
            _create_run(root, run, len(classes))
        self._tip = session.commit("created")


def require_free(location: Path | str) -> None:
    """Check that a store can be made at `location`; touches nothing.

    Raises:
        StoreExistsError: something is there already.
    """
    place = Location.of(location)
    advice = f"choose another store, remove it, or `islands resume {place}`"
    if not place.is_local:
        if exists(place):
            raise StoreExistsError(f"{place} is a store already; {advice}")
        return
    path = place.path
    if path.is_dir() and any(path.iterdir()):
        raise StoreExistsError(f"{path} is not empty; {advice}")
    if path.exists() and not path.is_dir():
        raise StoreExistsError(f"{path} is a file; choose another store")


def _lock(
    location: Location, repository: icechunk.Repository, *, break_stale: bool = False
) -> StoreLock | BucketLock:
    if location.is_local:
        return StoreLock(location.path, break_stale=break_stale)
    return BucketLock(location, repository, break_stale=break_stale)


def _create_names(root: zarr.Group, classes: Sequence[str]) -> None:
    root.create_array(
        "classes/names",
        data=np.array(list(classes), np.dtypes.StringDType()),
        chunks=(max(1, len(classes)),),
        compressors=_COMPRESSOR,
        dimension_names=("class",),
        attributes={"description": "names of the network's classes"},
    )


def _create_run(root: zarr.Group, number: int, k: int) -> None:
    run = root.create_group(schema.run_path(number), attributes={"evaluations": 0})
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


def _write_run(root: zarr.Group, number: int, run: RunCheckpoint, epoch: int) -> None:
    group = _group(root, schema.run_path(number))
    if run.changed.any():
        _update(_group(group, "elites"), schema.elite_arrays(run.elites), run.changed)
        _update_genomes(_group(group, "genomes"), run.elites.genomes, run.changed)
    _replace_mail(_group(group, "islands"), run.mail)
    _append(_group(group, "history"), run.history)
    _append(_group(group, "migrations"), run.migrations)
    _append(group, {"curves": run.curves})
    _write_ancestors(group, run.ancestors)
    digest = schema.digest(epoch, run.elites, run.mail, run.evaluations)
    ancestors = None if run.ancestors is None else schema.describe_ancestors(run.ancestors)
    group.attrs.update({"evaluations": run.evaluations, "digest": digest, "ancestors": ancestors})


def _write_scores(root: zarr.Group, networks: Sequence[HeldOutScores]) -> None:
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
        # A new width is rare and touches most rows: writing the array anew keeps one chunk per 100 rows.
        if name in stored and stored[name].shape == values.shape:
            _write_changed(stored[name], values, changed)
        else:
            _replace(group, name, schema.genome_column(name, values.dtype), values, "class")


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
        _replace(group, name, columns[name], values, "letter")
    _replace(group, "boards", schema.BOARDS, mail.boards, "sent_epoch")
    genomes = _group(group, "genomes")
    for name, values in mail.elites.genomes.items():
        _replace(genomes, name, schema.genome_column(name, values.dtype), values, "letter")


def _write_ancestors(run: zarr.Group, ancestors: Ancestors | None) -> None:
    """Append what is new; write all anew when most rows are extinct or genomes have outgrown the arrays."""
    if ancestors is None:
        if "ancestors" in run:
            del run["ancestors"]
        return
    stored = np.asarray(_array(run, "ancestors/id")[:]) if "ancestors" in run else np.empty(0, np.int64)
    is_new = ~np.isin(ancestors.ids, stored)
    rows = len(stored) + int(is_new.sum())
    if rows > 2 * len(ancestors) or not _fit(run, ancestors.genomes):
        _create_ancestors(run, ancestors.genomes)
        stored, is_new = np.empty(0, np.int64), np.ones(len(ancestors), np.bool_)
    new = ancestors.take(is_new)
    ids = np.concatenate([stored, new.ids])
    group = _group(run, "ancestors")
    _append(group, {"id": new.ids, "parents": new.parents})
    for name, values in new.genomes.items():
        array = _array(group, f"genomes/{name}")
        _append(group, {f"genomes/{name}": np.pad(values, ((0, 0), (0, array.shape[1] - values.shape[1])))})
    alive = _array(group, "alive")
    alive.resize((len(ids),))
    alive[:] = np.isin(ids, ancestors.ids)


def _fit(run: zarr.Group, genomes: Arrays) -> bool:
    """Tell whether there are arrays that take `genomes`."""
    if "ancestors" not in run:
        return False
    room = {name: array.shape[1] for name, array in _group(run, "ancestors/genomes").arrays()}
    return all(values.shape[1] <= room.get(name, -1) for name, values in genomes.items())


def _create_ancestors(run: zarr.Group, genomes: Arrays) -> None:
    group = run.create_group("ancestors", overwrite=True)
    for name, column in schema.ANCESTORS.items():
        _create(group, name, column, (0, *(2 for _ in column.dimensions)), "row")
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
    array = _create(group, name, column, values.shape, rows)
    if values.size:
        array[:] = values


def _create(
    group: zarr.Group, name: str, column: Column, shape: tuple[int, ...], rows: str
) -> zarr.Array[Any]:
    # Zarr fills partial chunks up before it compresses them; only arrays that will grow need that.
    chunk = min(column.chunk, shape[0]) or column.chunk
    return group.create_array(
        name,
        shape=shape,
        dtype=column.dtype,
        chunks=(chunk, *(max(1, width) for width in shape[1:])),
        fill_value=column.fill,
        compressors=_COMPRESSOR,
        dimension_names=(rows, *column.dimensions),
        attributes={**column.attributes},
        overwrite=True,
    )


def _group(parent: zarr.Group, path: str) -> zarr.Group:
    found = parent[path]
    assert isinstance(found, zarr.Group)
    return found


def _array(parent: zarr.Group, path: str) -> zarr.Array[Any]:
    found = parent[path]
    assert isinstance(found, zarr.Array)
    return found


def _summary(checkpoint: Checkpoint) -> dict[str, Any]:
    confidence = np.concatenate([run.elites.confidence for run in checkpoint.runs])
    return {
        "epoch": checkpoint.epoch,
        "median_confidence": float(np.median(confidence)),
        "evaluations": sum(run.evaluations for run in checkpoint.runs),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # a checkout that runs without being installed
        return None


def _git_commit() -> str | None:
    command = ("git", "rev-parse", "HEAD")
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
