"""One writer at a time: Icechunk on a local disk loses commits when two processes write."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from islands.errors import StoreLockedError
from islands.store.location import LOCK, Location
from islands.store.owner import Owner, has_open, is_alive, is_alive_here, parse, this_process
from islands.texts import islands_command

GUARD = "LOCK.guard"
"""Locked while the branch moves, and while the lock is broken: never both at once."""

PATIENCE_S = 10.0
"""Seconds for which the guard is waited for; a commit has it for milliseconds."""

_LOOK_S = 0.3
"""Seconds for which a lock that is held is tried again: whoever looks at it holds it for a moment."""

_POLL_S = 0.01
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StoreLock:
    """An exclusive `flock` on the file LOCK in a store's directory, which ends with the process.

    The file stays when the lock is released: deleting it would let two processes lock two files.

    Args:
        location: the store's directory.
        break_held: take the lock although it is held: network file systems keep locks of hosts that are gone.
            Its holder, if it lives, cannot commit any more.

    Attributes:
        is_contested: whether the writer before may still be there: its lock was broken, or it was on another
            machine and has not released it.

    Raises:
        StoreLockedError: another writer holds it.
    """

    def __init__(self, location: Path, *, break_held: bool = False) -> None:
        self._location = location
        self.is_contested = False
        self._descriptor = _open(location / LOCK)
        if not self._try_lock():
            os.close(self._descriptor)
            if not break_held:
                raise locked(location, read_owner(location))
            self.is_contested = True
            with _guarding(location, replace=True):
                self._descriptor = _put_in_place(location / LOCK)
        # Read before it is written over: it names who wrote last.
        before = read_owner(location)
        self.is_contested |= before is not None and not before.is_of_this_machine
        self._write(json.dumps(this_process()._asdict()))

    def require_held(self) -> None:
        """Check that nobody has broken the lock.

        Raises:
            StoreLockedError: another process writes now.
        """
        if not _is_in_place(self._descriptor, self._location / LOCK):
            raise locked(self._location, read_owner(self._location))

    @contextmanager
    def unbroken(self) -> Iterator[None]:
        """Let nobody break the lock meanwhile; for what takes moments.

        Raises:
            StoreLockedError: another process writes now.
        """
        with _guarding(self._location, replace=False):
            self.require_held()
            yield

    def moment(self) -> datetime:
        """Return a time, by the clock that dates the store's files, before which nobody broke the lock.

        Raises:
            StoreLockedError: another process writes now.
        """
        # First the time and then the look: who breaks the lock in between does so after that time. The file
        # system gives it, for on a network its clock may differ from ours.
        os.utime(self._descriptor)
        microseconds = os.fstat(self._descriptor).st_mtime_ns // 1000
        self.require_held()
        return _EPOCH + timedelta(microseconds=microseconds)

    def release(self) -> None:
        """Let the next writer in."""
        # Emptied first: on another machine the next writer would take us for one that may still be there.
        self._write("")
        os.close(self._descriptor)

    def _try_lock(self) -> bool:
        deadline = time.monotonic() + _LOOK_S
        while not _try_flock(self._descriptor):
            owner = read_owner(self._location)
            if time.monotonic() > deadline or (owner is not None and is_alive_here(owner)):
                return False
            time.sleep(_POLL_S)
        # Someone may have broken the lock between opening and locking.
        return _is_in_place(self._descriptor, self._location / LOCK)

    def _write(self, text: str) -> None:
        # By the descriptor: once the lock was broken, another process's file lies at the path.
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)


def locked(location: Location | Path, owner: Owner | None) -> StoreLockedError:
    """Return the error that tells who writes, and what to do."""
    advice = "wait for it, or stop it and resume"
    if owner is None or not owner.started or not is_alive_here(owner):
        advice += f"; if it is gone for good: {islands_command('resume', location, '--break-lock')}"
    return StoreLockedError(
        f"{location} is being written by {owner or 'another process'}; a store has one writer: {advice}"
    )


def read_owner(location: Path) -> Owner | None:
    """Return who writes to the store, or died writing; None where the last writer released it."""
    try:
        return parse(json.loads((location / LOCK).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def read_holder(location: Path) -> Owner | None:
    """Return who holds the lock now; None where nobody does."""
    path = location / LOCK
    owner = read_owner(location)
    if owner is None or not _is_flocked(path) or not is_alive(owner):
        return None
    # Older locks do not tell a process from another of its number.
    return owner if owner.started or not owner.is_of_this_machine or has_open(owner, path) else None


def _is_flocked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        # Shared: two who look at once must not take each other for a writer.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # held; or the file system has no locks, and who is named in the file decides
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _guarding(location: Path, *, replace: bool) -> Iterator[None]:
    """Hold the guard; `replace` it where it does not come free, as a host that is gone may have left it."""
    path = location / GUARD
    deadline = time.monotonic() + PATIENCE_S
    while True:
        descriptor = _open(path)
        # Who opened the file before it was replaced has locked one that counts no more.
        if _try_flock(descriptor) and _is_in_place(descriptor, path):
            break
        os.close(descriptor)
        if time.monotonic() > deadline:
            if not replace:
                raise locked(location, read_owner(location))
            descriptor = _put_in_place(path)
            break
        time.sleep(_POLL_S)
    try:
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _try_flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _put_in_place(path: Path) -> int:
    """Put another file, locked, in the place of the one whose lock cannot be had."""
    # Locked before it is in place, so that nobody comes between.
    fresh = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
    descriptor = _open(fresh)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    fresh.replace(path)
    return descriptor


def _is_in_place(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
