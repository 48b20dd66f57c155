"""Icechunk behind a few functions: both major versions, one kind of error."""

from __future__ import annotations

import atexit
import errno
import inspect
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import icechunk
import zarr
from zarr.errors import BaseZarrError, GroupNotFoundError

from islands.errors import StoreDamagedError, StoreError, StoreNotFoundError, StoreVersionError
from islands.store.location import Location, is_begun_folder, is_store_folder
from islands.store.schema import READABLE
from islands.texts import islands_command

# Icechunk 1.x prints warnings on stdout, in the midst of what a script would parse.
icechunk.set_logs_filter("error")

# Where a parent of a new array cannot be read, Zarr 3.1 raises what it should, but forgets the writes that it
# had prepared (`zarr.core.metadata.io.save_metadata`). Python would warn of them whenever they are collected.
warnings.filterwarnings(
    "ignore", r"coroutine '(set_or_delete|StorePath\.set_if_not_exists)' was never awaited", RuntimeWarning
)

# Icechunk's threads call back into Python; one not yet back when Python shuts down aborts the process
# (measured on two busy cores: 22 of 720 exits, none of 360 that wait). They need Python's lock, and no more.
atexit.register(time.sleep, 0.05)


_FIRST_COMMIT = "1CECHNKREP0F1RSTCMT0"
"""The commit with nothing in it by which every repository begins, in both formats of Icechunk's."""


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


def is_begun(repository: icechunk.Repository) -> bool:
    """Tell whether a store is being made in a repository, or was until its process was killed."""
    return bool(repository.lookup_branch("main") == _FIRST_COMMIT)


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
    if location.is_local and is_begun_folder(location.path):
        raise _begun(location)
    if location.is_local and not is_store_folder(location.path):
        raise StoreNotFoundError(
            f"{location} is not an Islands store; expected a directory made by `islands launch`"
        )
    with reading(location, "the repository"):
        return icechunk.Repository.open(location.storage())


def open_root(path: Location | Path, session: icechunk.Session, mode: Any = "r") -> zarr.Group:
    """Open the root group of a session and check that its schema is ours.

    Raises:
        StoreNotFoundError: the repository is empty, or was made by another program.
        StoreVersionError: another schema version.
        StoreDamagedError: it cannot be read.
    """
    with reading(path, "the root group"):
        try:
            root = zarr.open_group(session.store, mode=mode, zarr_format=3)
        except GroupNotFoundError:
            if session.snapshot_id == _FIRST_COMMIT:
                raise _begun(path) from None
            raise  # damaged
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


def _begun(path: Location | Path) -> StoreNotFoundError:
    return StoreNotFoundError(
        f"{path} was begun, and nothing is in it yet; launch it again, or choose another store"
    )


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
