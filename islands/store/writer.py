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
import zarr

from islands.config import RunConfig
from islands.errors import StoreError, StoreExistsError
from islands.evolution.checkpoint import Checkpoint
from islands.evolution.scores import HeldOutScores
from islands.store import schema
from islands.store.bucket_lock import BucketLock
from islands.store.groups import create_names, create_run, write_run, write_scores
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
from islands.store.retention import commits_between_sweeps, forget, free, tag_once

_PACKAGES = ("islands", "torch", "numpy", "zarr", "icechunk", "ray")


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
            if self._keep is not None and self._commits_since_sweep >= commits_between_sweeps(self._keep):
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
            write_scores(root, scores)
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
            write_run(root, number, run, checkpoint.epoch)
        write_scores(root, checkpoint.scores)
        stage = {"complete": complete, "epoch": checkpoint.epoch}
        version = {"schema_version": schema.SCHEMA_VERSION}
        root.attrs.update({"stages": {schema.STAGE: stage}, **version, **self._new_config()})
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
        create_names(root, classes)
        for run in range(config.runs):
            create_run(root, run, len(classes))
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
