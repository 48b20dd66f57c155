"""One writer at a time: Icechunk on a local disk loses commits when two processes write."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path
from typing import NamedTuple

from islands.errors import StoreLockedError

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

    Raises:
        StoreLockedError: another writer holds it.
    """

    def __init__(self, location: Path) -> None:
        self._descriptor = os.open(location / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            owner = read_owner(location) or "another process"
            raise StoreLockedError(
                f"{location} is being written by {owner}; a store has one writer:"
                " wait for it, or stop it and resume"
            ) from None
        self._write(json.dumps(Owner(os.getpid(), socket.gethostname())._asdict()))

    def release(self) -> None:
        """Let the next writer in."""
        self._write("")
        os.close(self._descriptor)

    def _write(self, text: str) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)


def read_owner(location: Path) -> Owner | None:
    """Return who writes to the store, or died writing; None where the last writer released it."""
    try:
        return Owner(**json.loads((location / LOCK).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def is_alive(owner: Owner) -> bool:
    """Tell whether the process still runs; one on another host counts as running."""
    if owner.host != socket.gethostname():
        return True
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
