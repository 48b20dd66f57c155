"""One writer at a time where there are no file locks: a branch of the repository says who it is.

Icechunk moves a branch only from the commit that the mover has seen, which object storage checks; so of two
processes that take the lock at once one fails, and a writer whose lock was taken finds the branch elsewhere.
"""

from __future__ import annotations

import os
import socket
from typing import Any

import icechunk
import zarr
from zarr.errors import GroupNotFoundError

from islands.store.location import Location
from islands.store.lock import Owner, is_alive, locked

BRANCH = "writer"


class BucketLock:
    """Held from construction to `release`, or until somebody breaks it.

    A process that dies leaves the lock behind. One that died on this host is recognised; of any other host
    only the user can know: `break_stale`.

    Raises:
        StoreLockedError: another writer holds it.
    """

    def __init__(
        self, location: Location, repository: icechunk.Repository, *, break_stale: bool = False
    ) -> None:
        self._location = location
        self._repository = repository
        if BRANCH not in repository.list_branches():
            first = list(repository.ancestry(branch="main"))[-1].id
            repository.create_branch(BRANCH, first)
        owner = read_bucket_owner(repository)
        if owner is not None and is_alive(owner) and not (break_stale and owner.host != socket.gethostname()):
            raise locked(location, owner)
        self._held = self._move(Owner(os.getpid(), socket.gethostname()))

    def require_held(self) -> None:
        """Check that nobody has broken the lock.

        Raises:
            StoreLockedError: another process writes now.
        """
        if self._repository.lookup_branch(BRANCH) != self._held:
            raise locked(self._location, read_bucket_owner(self._repository))

    def release(self) -> None:
        """Let the next writer in."""
        if self._repository.lookup_branch(BRANCH) == self._held:
            self._move(None)

    def _move(self, owner: Owner | None) -> str:
        session = self._repository.writable_session(BRANCH)
        root = zarr.open_group(session.store, mode="a", zarr_format=3)
        root.attrs["owner"] = None if owner is None else owner._asdict()
        try:
            snapshot: str = session.commit("locked" if owner else "released")
        except icechunk.ConflictError:
            raise locked(self._location, read_bucket_owner(self._repository)) from None
        return snapshot


def read_bucket_owner(repository: icechunk.Repository) -> Owner | None:
    """Return who writes to the store, or died writing; None where the last writer released it."""
    if BRANCH not in repository.list_branches():
        return None
    try:
        root = zarr.open_group(repository.readonly_session(BRANCH).store, mode="r", zarr_format=3)
    except GroupNotFoundError:  # the branch was made, and nobody has taken the lock yet
        return None
    owner: Any = root.attrs["owner"]
    return None if owner is None else Owner(**owner)
