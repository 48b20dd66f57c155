"""Icechunk behind a few functions: both major versions, one kind of error."""

from __future__ import annotations

import errno
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import icechunk
import zarr
from zarr.errors import BaseZarrError

from islands.errors import StoreDamagedError, StoreError, StoreNotFoundError, StoreVersionError
from islands.store.location import SNAPSHOTS, Location, is_store_folder
from islands.store.schema import READABLE
from islands.texts import islands_command

# Icechunk 1.x prints warnings on stdout, in the midst of what a script would parse.
icechunk.set_logs_filter("error")


class CheckpointInfo(NamedTuple):
    """One commit of the store that holds a checkpoint."""

    id: str
    """The Icechunk snapshot."""
    epoch: int
    written_at: datetime
    message: str
    median_confidence: float
    """Over all cells of all runs, empty ones as 0."""
    evaluations: int
    """Images scored so far, all runs together."""
    tags: tuple[str, ...]
    """Names that keep the commit for good."""


def create_repository(location: Location | Path) -> icechunk.Repository:
    """Create an empty repository at `location`."""
    # Icechunk 2.x can write the format that 1.x reads, which is all that Python 3.11 has.
    accepted = inspect.signature(icechunk.Repository.create).parameters
    options: dict[str, Any] = {"spec_version": 1} if "spec_version" in accepted else {}
    return icechunk.Repository.create(Location.of(location).storage(), **options)


def exists(location: Location) -> bool:
    """Tell whether there is a repository in a bucket.

    Raises:
        StoreError: the bucket cannot be read.
    """
    try:
        return icechunk.Repository.exists(location.storage())
    except icechunk.IcechunkError as error:
        raise StoreError(
            f"{location} cannot be reached ({_reason(error)}); check the bucket's name, the credentials in "
            "the environment, and AWS_ENDPOINT_URL if the server is not Amazon's"
        ) from error


def open_repository(location: Location | Path) -> icechunk.Repository:
    """Open the repository at `location`.

    Raises:
        StoreNotFoundError: nothing is there, or something that is not a store.
        StoreDamagedError: the repository cannot be read.
    """
    location = Location.of(location)
    if not (location.path.exists() if location.is_local else exists(location)):
        raise StoreNotFoundError(
            f"there is no store at {location}; check the path, or `islands launch` to make one"
        )
    if location.is_local and not is_store_folder(location.path):
        raise StoreNotFoundError(
            f"{location} is not an Islands store; expected a directory made by `islands launch`"
        )
    with reading(location, "the repository"):
        return icechunk.Repository.open(location.storage())


def open_root(path: Location | Path, session: icechunk.Session, mode: Any = "r") -> zarr.Group:
    """Open the root group of a session and check that its schema is ours.

    Raises:
        StoreNotFoundError: the repository was made by another program.
        StoreVersionError: another schema version.
        StoreDamagedError: it cannot be read.
    """
    with reading(path, "the root group"):
        root = zarr.open_group(session.store, mode=mode, zarr_format=3)
    require_schema(path, root)
    return root


def require_schema(path: Location | Path, root: zarr.Group) -> None:
    """Check that the schema of a root group is ours; see `open_root`."""
    with reading(path, "the root group"):
        version = root.attrs.get("schema_version")
    if version is None:
        raise StoreNotFoundError(f"{path} holds arrays, but is no store made by `islands launch`")
    if version not in READABLE:
        raise StoreVersionError(
            f"{path} has schema version {version}, this is Islands with version {READABLE[-1]};"
            " use the version of Islands that wrote it"
        )


def list_checkpoints(path: Location | Path, repository: icechunk.Repository) -> list[CheckpointInfo]:
    """Return all checkpoints that are kept, the oldest first.

    Raises:
        StoreDamagedError: the list cannot be read.
    """
    with reading(path, "the list of checkpoints"):
        tags = _tags(repository)
        commits = [*repository.ancestry(branch="main")]
        for snapshot in tags:
            # What a tag keeps may have gone from the history of the branch, with what came before.
            commits += repository.ancestry(snapshot_id=snapshot)
        return _checkpoints(commits, tags)


def find_checkpoints(path: Location | Path, repository: icechunk.Repository) -> list[CheckpointInfo]:
    """Return like `list_checkpoints` those that can be read; in a damaged bucket only what its tags keep."""
    try:
        return list_checkpoints(path, repository)
    except StoreDamagedError:
        with reading(path, "the list of tags"):
            tags = _tags(repository)
    location = Location.of(path)
    # Only a commit says which came before it: after a damaged one, what is on the disk says which there are.
    names = [file.name for file in (location.path / SNAPSHOTS).iterdir()] if location.is_local else tags
    commits = []
    for name in names:
        with suppress(StoreDamagedError), reading(path, f"commit {name}"):
            commits.append(next(iter(repository.ancestry(snapshot_id=name))))
    return _checkpoints(commits, tags)


def _tags(repository: icechunk.Repository) -> dict[str, list[str]]:
    """Return the names of each commit that has any."""
    tags: dict[str, list[str]] = {}
    for tag in sorted(repository.list_tags()):
        tags.setdefault(repository.lookup_tag(tag), []).append(tag)
    return tags


def _checkpoints(
    commits: Iterable[icechunk.SnapshotInfo], tags: Mapping[str, list[str]]
) -> list[CheckpointInfo]:
    entries = {entry.id: entry for entry in commits}
    return [
        CheckpointInfo(
            id=entry.id,
            epoch=int(entry.metadata["epoch"]),
            written_at=entry.written_at,
            message=entry.message,
            median_confidence=float(entry.metadata["median_confidence"]),
            evaluations=int(entry.metadata["evaluations"]),
            tags=tuple(tags.get(entry.id, ())),
        )
        for entry in sorted(entries.values(), key=lambda entry: entry.written_at)
        # The commit that made the store holds no checkpoint.
        if "epoch" in entry.metadata
    ]


@contextmanager
def writing(path: Location | Path) -> Iterator[None]:
    """Turn what a full disk or a folder without permission raises into one `StoreError`.

    What is added to a chunk is put behind what the chunk holds: damage is found then, too, see `reading`.
    """
    with reading(path, "what is added to"):
        try:
            yield
        except StoreError:
            raise
        except (icechunk.IcechunkError, BaseZarrError, OSError) as error:
            reason = _reason(error)
            raise StoreError(
                f"{path} cannot be written ({reason}); make room or choose another place: whatever was "
                "committed before can be resumed"
            ) from error


_DAMAGE = (
    icechunk.IcechunkError,
    BaseZarrError,
    ValueError,
    RuntimeError,
    OSError,
    LookupError,
    TypeError,
)
_PASSING = (
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EPIPE,
    errno.EACCES,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
)
_PANICS = ("PanicException", "RustPanic")
"""What Icechunk's Rust code raises where it meets what it takes for impossible; no module has these names."""


@contextmanager
def reading(path: Location | Path, what: str) -> Iterator[None]:
    """Turn whatever Icechunk, Zarr and its codecs raise for damaged files into one `StoreDamagedError`.

    A server that does not answer, or a process that may open no more files, is no damage but a `StoreError`.
    """
    try:
        yield
    except StoreError:
        raise
    except BaseException as error:
        # A panic of Rust's is no `Exception`.
        if not isinstance(error, _DAMAGE) and type(error).__name__ not in _PANICS:
            raise
        if _passes(error):
            raise StoreError(f"{path}: {what} cannot be read now ({_reason(error)}); try again") from error
        raise StoreDamagedError(
            f"{path} is damaged: {what} cannot be read ({_reason(error)}); go on from an earlier checkpoint"
            f" ({islands_command('resume', path, '--at', 'EPOCH')}), or restore the directory from a copy"
        ) from error


def _passes(error: BaseException) -> bool:
    """Tell whether the system gives a reason that has nothing to do with what is stored."""
    # What comes from Rust has the number in its text alone.
    told = re.search(r"os error (\d+)", str(error))
    number = error.errno if isinstance(error, OSError) else int(told[1]) if told else None
    return number in _PASSING


def _reason(error: BaseException) -> str:
    """Return the line that tells most: Icechunk draws a tree of causes, the first on top."""
    lines = [line.strip(" x│├╰─▶") for line in str(error).splitlines() if line.strip()]
    system = [line for line in lines if "os error" in line]
    return (system or lines or [type(error).__name__])[0]
