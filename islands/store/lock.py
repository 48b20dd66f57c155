"""One writer at a time: Icechunk on a local disk loses commits when two processes write."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
from pathlib import Path
from typing import NamedTuple

from islands.errors import StoreLockedError
from islands.store.location import Location

LOCK = "LOCK"


class Owner(NamedTuple):
    """The process that writes, or wrote last."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class StoreLock:
    """An exclusive `flock` on the file LOCK in a store's directory, which ends with the process.

    The file stays when the lock is released: deleting it would let two processes lock two files.

    Args:
        location: the store's directory.
        break_stale: take the lock although it is held, if its owner is dead or on another host: network file
            systems keep locks of hosts that are gone.

    Raises:
        StoreLockedError: another writer holds it.
    """

    def __init__(self, location: Path, *, break_stale: bool = False) -> None:
        self._location = location
        self._descriptor = self._open()
        if not self._try_lock():
            owner = read_owner(location)
            os.close(self._descriptor)
            if not break_stale or owner is None or is_alive_here(owner):
                raise locked(location, owner)
            self._descriptor = self._replace()
        self._write(json.dumps(Owner(os.getpid(), socket.gethostname())._asdict()))

    def require_held(self) -> None:
        """Check that nobody has broken the lock.

        Raises:
            StoreLockedError: another process writes now.
        """
        if not self._is_current(self._descriptor):
            raise locked(self._location, read_owner(self._location))

    def release(self) -> None:
        """Let the next writer in."""
        self._write("")
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self._location / LOCK, os.O_RDWR | os.O_CREAT, 0o644)

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # Someone may have broken the lock between opening and locking.
        return self._is_current(self._descriptor)

    def _replace(self) -> int:
        """Put another file, locked, in the place of the one whose lock cannot be had."""
        descriptor, name = tempfile.mkstemp(dir=self._location, prefix=f"{LOCK}-")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        Path(name).replace(self._location / LOCK)
        return descriptor

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), (self._location / LOCK).stat())
        except FileNotFoundError:
            return False

    def _write(self, text: str) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)


def locked(location: Location | Path, owner: Owner | None) -> StoreLockedError:
    """Return the error that tells who writes, and what to do."""
    advice = "wait for it, or stop it and resume"
    if owner is not None and not is_alive_here(owner):
        advice += f"; if it is gone for good: islands resume {location} --break-lock"
    return StoreLockedError(
        f"{location} is being written by {owner or 'another process'}; a store has one writer: {advice}"
    )


def read_owner(location: Path) -> Owner | None:
    """Return who writes to the store, or died writing; None where the last writer released it."""
    try:
        return Owner(**json.loads((location / LOCK).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def is_alive(owner: Owner) -> bool:
    """Tell whether the process still runs; one on another host counts as running."""
    return owner.host != socket.gethostname() or is_alive_here(owner)


def is_alive_here(owner: Owner) -> bool:
    """Tell whether the process runs on this host."""
    if owner.host != socket.gethostname():
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
