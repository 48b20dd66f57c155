"""Makes stores, so that a process killed meanwhile leaves nothing in the way of the next."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import icechunk

from islands.config import RunConfig
from islands.config.own_code import fingerprints, own_code
from islands.errors import StoreExistsError
from islands.files import filling
from islands.store import schema
from islands.store.bucket_lock import BucketLock
from islands.store.groups import create_store
from islands.store.location import REFS, Location, is_begun_folder
from islands.store.lock import StoreLock, locked, read_holder
from islands.store.repository import create_repository, exists, is_begun, open_repository
from islands.store.waiting import wait_for
from islands.texts import islands_command

_PACKAGES = ("islands", "torch", "numpy", "zarr", "icechunk", "ray")


def require_free(location: Location | Path | str) -> None:
    """Check that a store can be made at `location`; touches nothing.

    Raises:
        StoreExistsError: something is there already.
        StoreLockedError: another process is making a store.
    """
    place = Location.of(location)
    if not place.is_local:
        if exists(place) and not is_begun(open_repository(place)):
            raise _exists(place, "is a store already")
        return
    path = place.path
    if path.exists() and not path.is_dir():
        raise StoreExistsError(f"{path} is a file; choose another store")
    if is_begun_folder(path):
        if (holder := read_holder(path)) is not None:
            raise locked(path, holder)
    elif path.is_dir() and any(path.iterdir()):
        raise _exists(place, "is not empty")


def make_store(
    location: Location,
    config: RunConfig,
    classes: Sequence[str],
    fingerprint: str,
    image: Mapping[str, int],
) -> tuple[StoreLock | BucketLock, icechunk.Repository]:
    """Make a store without a checkpoint and lock it; see `StoreWriter.create`."""
    require_free(location)
    make = _in_folder if location.is_local else _in_bucket
    attributes = {
        "schema_version": schema.SCHEMA_VERSION,
        "versions": {name: _version(name) for name in _PACKAGES},
        "config": config.model_dump(mode="json"),
        "fingerprint": fingerprint,
        "code": fingerprints(own_code(config)),
        "git_commit": _git_commit(),
        "seed": config.seed,
        "image": {**image},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "stages": {schema.STAGE: {"complete": False, "epoch": None}},
    }

    def fill(repository: icechunk.Repository) -> None:
        session = repository.writable_session("main")
        wait_for(create_store(session.store, classes, config.evolution.layout, config.runs, attributes))
        session.commit("created")

    return make(location, fill)


def _in_folder(
    location: Location, fill: Callable[[icechunk.Repository], None]
) -> tuple[StoreLock, icechunk.Repository]:
    folder = location.path
    folder.mkdir(parents=True, exist_ok=True)
    lock = StoreLock(folder)
    if not is_begun_folder(folder):  # whoever held the lock until now has made one
        lock.release()
        raise _exists(location, "is not empty")
    try:
        # Without its references it is no store. Icechunk begins in an empty folder, and ours has the lock.
        with filling(folder, last=REFS) as unfinished:
            fill(create_repository(unfinished))
        return lock, open_repository(location)
    except BaseException:
        lock.release()
        # Nothing is in it, and it would be in the way of whoever looks for stores.
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _in_bucket(
    location: Location, fill: Callable[[icechunk.Repository], None]
) -> tuple[BucketLock, icechunk.Repository]:
    repository = open_repository(location) if exists(location) else create_repository(location)
    lock = BucketLock(location, repository)
    try:
        if not is_begun(repository):  # whoever held the lock until now has made one
            raise _exists(location, "is a store already")
        fill(repository)
    except BaseException:
        lock.release()
        raise
    return lock, repository


def _exists(location: Location, what: str) -> StoreExistsError:
    resume = islands_command("resume", location)
    return StoreExistsError(f"{location} {what}; choose another store, remove it, or `{resume}`")


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
