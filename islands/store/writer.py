"""Writing checkpoints: one Icechunk commit each, by the only process that holds the lock."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import icechunk
import numpy as np

from islands.config import RunConfig
from islands.errors import StoreDamagedError, StoreError
from islands.evolution.checkpoint import Checkpoint
from islands.evolution.scores import HeldOutScores
from islands.store import schema
from islands.store.bucket_lock import BucketLock
from islands.store.checkpoints import find_checkpoints
from islands.store.creation import make_store
from islands.store.groups import write_checkpoint, write_scores
from islands.store.location import Location
from islands.store.lock import StoreLock, locked
from islands.store.reader import StoreReader
from islands.store.repository import (
    open_repository,
    open_root,
    reading,
    writing,
)
from islands.store.retention import commits_between_sweeps, forget, free, left_tag, tag_once, try_to_free
from islands.store.waiting import wait_for

_log = logging.getLogger(__name__)

_MARK = "mark"
"""In the metadata of a commit, by which its writer knows it again."""


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
        self._conditions: Sequence[Mapping[str, Any]] | None = None
        self._queries: Mapping[str, int] | None = None
        self._keep: int | None = None
        self._commits_since_sweep = 0
        self._trying: tuple[object, str] | None = None
        """What is being committed, or failed to be, and the mark that its commit has."""

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
        path = Location.of(location)
        with writing(path):
            writer = cls(
                path, *make_store(path, config, classes, fingerprint, {"channels": channels, "size": size})
            )
        writer._keep = config.checkpoint.keep
        return writer

    @classmethod
    def open(cls, location: Path | str, *, break_lock: bool = False, at: str | None = None) -> Self:
        """Lock an existing store to go on writing, and clear what killed commits left on the disk.

        Args:
            location: its path.
            break_lock: take the lock from whoever has it; a writer that still lives cannot commit any more.
            at: the snapshot id of a checkpoint from which to go on; None: from the latest. What came after it
                leaves the branch, and a tag keeps it if it can be read: see `left_tag`.

        Raises:
            StoreNotFoundError: there is no store at `location`.
            StoreLockedError: another process writes to it.
            StoreVersionError: another schema version.
            StoreDamagedError: it cannot be read.
        """
        path = Location.of(location)
        repository = open_repository(path)
        writer = cls(path, _lock(path, repository, break_held=break_lock), repository)
        try:
            if at is not None:
                writer._go_back(at)
            writer._fence()
            session = repository.readonly_session("main")
            root = open_root(path, session)
            # A writer that may still be there may be writing chunks that no commit needs yet.
            if not writer._lock.is_contested:
                with writer._at_leisure("what killed commits have left"):
                    writer._free()
            with reading(path, "the history of commits"):
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

    def set_conditions(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Replace `StoreReader.conditions`; takes effect with the next commit."""
        self._conditions = records

    def set_queries(self, asked: Mapping[str, int]) -> None:
        """Replace `StoreReader.queries`; takes effect with the next commit."""
        self._queries = asked

    def commit(self, checkpoint: Checkpoint, complete: bool) -> str:
        """Store a checkpoint as one commit, and return its snapshot id.

        Args:
            checkpoint: all runs; of the elites only chunks with `changed` rows are written.
            complete: whether the budget is spent.

        Raises:
            StoreError: it could not be written, and may be tried again: the same object is stored once, even
                if it was stored before the error came. Until then the checkpoint before stands.
        """
        with self._writing():
            snapshot = self._tried_before(checkpoint) or self._commit(checkpoint, complete)
            self._tag_if_complete({"complete": complete, "epoch": checkpoint.epoch}, snapshot)
            self._settle()
        self._commits_since_sweep += 1
        if self._keep is not None and self._commits_since_sweep >= commits_between_sweeps(self._keep):
            self._sweep(self._keep)
        return snapshot

    def commit_scores(self, scores: Sequence[HeldOutScores]) -> str:
        """Store scores of the latest checkpoint as a commit of the same epoch, and return its snapshot id.

        Raises:
            StoreError: they could not be written, or there is no checkpoint; what was there before stands.
        """
        with self._writing():
            snapshot = self._tried_before(scores) or self._commit_scores(scores)
            self._settle()
        return snapshot

    def collect(self, keep: int | None) -> tuple[int, int]:
        """Forget all but the newest `keep` commits and the tagged ones; None: forget none.

        Returns:
            Commits forgotten, and bytes freed at once.
        """
        with self._writing():
            forgotten = 0 if keep is None else self._forget(keep)
            return forgotten, self._free()

    def tag(self, name: str, snapshot: str) -> None:
        """Name a commit, so that it is kept for good.

        Raises:
            StoreError: another commit has that name.
        """
        with self._writing():
            with self._lock.unbroken():
                tag_once(self._repository, name, snapshot)
            if self._repository.lookup_tag(name) != snapshot:
                raise StoreError(f"{self._path} has another checkpoint tagged {name}; choose another name")

    def _commit(self, checkpoint: Checkpoint, complete: bool) -> str:
        self._lock.require_held()
        session = self._writable_session()
        # For its check of the version: a store of another one must not be added to.
        stage = {"complete": complete, "epoch": checkpoint.epoch}
        version = {"schema_version": schema.SCHEMA_VERSION}
        attributes = {"stages": {schema.STAGE: stage}, **version, **self._new_attributes()}
        wait_for(write_checkpoint(session.store, checkpoint, attributes))
        return self._save(session, f"epoch {checkpoint.epoch}", _summary(checkpoint))

    def _commit_scores(self, scores: Sequence[HeldOutScores]) -> str:
        self._lock.require_held()
        latest = next(iter(self._repository.ancestry(branch="main")))
        if "epoch" not in latest.metadata:
            raise StoreError(f"{self._path} has no checkpoint yet: there is nothing to score")
        session = self._writable_session()
        wait_for(write_scores(session.store, scores, self._new_attributes()))
        return self._save(session, f"scores of epoch {latest.metadata['epoch']}", latest.metadata)

    def _tried_before(self, content: object) -> str | None:
        """Return the commit of `content` if a try that failed has made it: an acknowledgement was lost."""
        is_again = self._trying is not None and self._trying[0] is content
        if self._trying is not None:
            self._lock.require_held()
            if self._is_ours():
                if is_again:
                    return self._tip
            elif self._path.is_local:  # a bucket may be about to accept what it has not answered yet
                with self._at_leisure("what a commit that failed has left"):
                    self._free()
        if not is_again:
            self._trying = content, uuid4().hex
        return None

    def _is_ours(self) -> bool:
        """Tell whether the branch ends with what is being committed, and if so go on from there."""
        latest = next(iter(self._repository.ancestry(branch="main")))
        ours = self._trying is not None and latest.metadata.get(_MARK) == self._trying[1]
        if ours:
            self._tip = latest.id
        return ours

    def _settle(self) -> None:
        if self._path.is_local:
            # Icechunk never calls fsync: without this a power loss could take the commit back.
            os.sync()
        self._trying = None

    def _sweep(self, keep: int) -> None:
        with self._at_leisure("old checkpoints"):
            # What is forgotten here is freed by the next sweep: until then readers can finish.
            self._free()
            self._forget(keep)
            self._commits_since_sweep = 0

    @contextmanager
    def _at_leisure(self, what: str) -> Iterator[None]:
        """Let a failure to free `what` cost room but no commit: it is tried again some time."""
        try:
            with writing(self._path):
                yield
        except StoreError as error:
            _log.warning("%s could not be freed: %s", what, error)

    def _go_back(self, snapshot: str) -> None:
        """Let the branch end with `snapshot`, and tag the latest of what came after it that can be read."""
        left = self._tip
        if left == snapshot:
            return
        with writing(self._path):
            stays = {commit.id for commit in self._repository.ancestry(snapshot_id=snapshot)}
            found = [info.id for info in reversed(find_checkpoints(self._path, self._repository))]
            later = [left, *(commit for commit in found if commit not in stays | {left})]
            kept = next((commit for commit in later if self._leave(commit, snapshot)), None)
        self._tip = snapshot
        _log.warning(
            "%s goes on from an earlier checkpoint; those that came after it %s",
            self._path,
            f"stay: --at {left_tag(kept)} reads the last" if kept else "are damaged and will be forgotten",
        )

    def _leave(self, commit: str, snapshot: str) -> bool:
        """Move the branch to `snapshot`, and keep `commit` by a tag unless it is in the way of sweeps."""
        name = left_tag(commit)
        with suppress(StoreError), writing(self._path):
            # Before the branch moves: from then on nothing else keeps the commit.
            tag_once(self._repository, name, commit)
        with self._lock.unbroken():
            self._repository.reset_branch("main", snapshot)
        if name not in self._repository.list_tags():
            return False
        try:
            with reading(self._path, f"commit {commit}"):
                try_to_free(self._repository)
        except StoreDamagedError:
            self._repository.delete_tag(name)
            return False
        return True

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
        assert self._trying is not None
        try:
            with self._lock.unbroken():
                self._tip = session.commit(message, {**metadata, _MARK: self._trying[1]})
        except icechunk.ConflictError as error:
            # Of a request that was sent again because its answer was lost, the bucket says so, too.
            if not self._is_ours():
                raise self._conflict(error) from None
        return self._tip

    def _conflict(self, error: icechunk.ConflictError) -> StoreError:
        if self._repository.lookup_branch("main") != self._tip:
            return locked(self._path, None)
        return StoreError(f"{self._path} did not take the commit ({error}), though nobody else writes to it")

    def _new_attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self._config is not None:
            found["config"] = self._config.model_dump(mode="json")
        if self._conditions is not None:
            found["conditions"] = [dict(record) for record in self._conditions]
        if self._queries is not None:
            found["queries"] = dict(self._queries)
        return found

    def _tag_if_complete(self, stage: Mapping[str, Any], snapshot: str) -> None:
        if stage["complete"]:
            with self._lock.unbroken():
                tag_once(self._repository, f"complete-{stage['epoch']}", snapshot)

    def _fence(self) -> None:
        """Move the branch if the writer before may be within a commit, which then finds it moved, and fails.

        Raises:
            StoreLockedError: another process has taken the lock since.
        """
        if not self._lock.is_contested:
            return
        with self._writing():
            while True:
                session = self._repository.writable_session("main")
                root = open_root(self._path, session, mode="r+")
                root.attrs["fence"] = secrets.token_hex(8)  # Icechunk refuses to commit nothing
                parent = next(iter(self._repository.ancestry(snapshot_id=session.snapshot_id)))
                metadata = {key: value for key, value in parent.metadata.items() if key != _MARK}
                # In a bucket that writer may have moved the branch once more before it noticed.
                with suppress(icechunk.ConflictError), self._lock.unbroken():
                    self._tip = session.commit("the lock was broken", metadata)
                    return

    def _forget(self, keep: int) -> int:
        with self._lock.unbroken():
            return forget(self._repository, keep)

    def _free(self) -> int:
        # A writer that has broken the lock since is writing chunks that no commit needs yet.
        return free(self._repository, self._lock.moment())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn what goes wrong into one error; see `writing`. Once the lock was broken, that is the cause."""
        try:
            with writing(self._path):
                yield
        except StoreError:
            with suppress(icechunk.IcechunkError):
                self._lock.require_held()
            raise

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


def remove_if_empty(location: Path | str) -> None:
    """Remove a store on a disk that nobody writes to and that has no checkpoint, if there is one."""
    place = Location.of(location)
    with suppress(StoreError):
        reader = StoreReader(place)
        if place.is_local and reader.epoch is None and reader.writer is None:
            shutil.rmtree(place.path, ignore_errors=True)


def _lock(
    location: Location, repository: icechunk.Repository, *, break_held: bool = False
) -> StoreLock | BucketLock:
    if location.is_local:
        return StoreLock(location.path, break_held=break_held)
    return BucketLock(location, repository, break_held=break_held)


def _summary(checkpoint: Checkpoint) -> dict[str, Any]:
    confidence = np.concatenate([run.elites.confidence for run in checkpoint.runs])
    return {
        "epoch": checkpoint.epoch,
        "median_confidence": float(np.median(confidence)),
        "evaluations": sum(run.evaluations for run in checkpoint.runs),
        "workers": [worker._asdict() for worker in checkpoint.workers],
    }
