"""One writer at a time where there are no file locks: a branch of the repository says who it is.

Icechunk moves a branch only from the commit that the mover has seen, which object storage checks; so of two
processes that take the lock at once one fails, and a writer whose lock was taken finds the branch elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import icechunk
import zarr
from zarr.errors import GroupNotFoundError

from islands.store.location import Location
from islands.store.lock import locked
from islands.store.owner import Owner, is_alive, parse, this_process

BRANCH = "writer"

CLOCKS_DIFFER_BY = timedelta(minutes=15)
"""At most: object storage refuses requests that are signed by a clock further from its own."""


class BucketLock:
    """Held from construction to `release`, or until somebody breaks it.

    A process that dies leaves the lock behind. One that died on this host is recognised; of any other host
    only the user can know: `break_held`.

    Attributes:
        is_contested: whether the writer before may still be there: it has not released the lock.

    Raises:
        StoreLockedError: another writer holds it.
    """

    def __init__(
        self, location: Location, repository: icechunk.Repository, *, break_held: bool = False
    ) -> None:
        self._location = location
        self._repository = repository
        if BRANCH not in repository.list_branches():
            first = list(repository.ancestry(branch="main"))[-1].id
            repository.create_branch(BRANCH, first)
        self._held = self._take(break_held)

    def require_held(self) -> None:
        """Check that nobody has broken the lock.

        Raises:
            StoreLockedError: another process writes now.
        """
        if self._repository.lookup_branch(BRANCH) != self._held:
            raise locked(self._location, read_bucket_owner(self._repository))

    @contextmanager
    def unbroken(self) -> Iterator[None]:
        """Check that nobody has broken the lock; from then on the storage refuses to move a branch twice.

        Raises:
            StoreLockedError: another process writes now.
        """
        self.require_held()
        yield

    def moment(self) -> datetime:
        """Return a time, by whatever clock dates the store's objects, before which nobody broke the lock.

        Raises:
            StoreLockedError: another process writes now.
        """
        # First the time and then the look: who breaks the lock in between does so after that time.
        now = datetime.now(UTC)
        self.require_held()
        return now - CLOCKS_DIFFER_BY

    def release(self) -> None:
        """Let the next writer in."""
        session = self._repository.writable_session(BRANCH)
        if session.snapshot_id == self._held:
            with suppress(icechunk.ConflictError):  # broken just now
                _move(session, None)

    def _take(self, break_held: bool) -> str:
        while True:
            session = self._repository.writable_session(BRANCH)
            owner = _owner_in(session)
            if owner is not None and is_alive(owner) and not break_held:
                raise locked(self._location, owner)
            self.is_contested = owner is not None
            with suppress(icechunk.ConflictError):  # taken or released just now: look again
                return _move(session, this_process())


def read_bucket_owner(repository: icechunk.Repository) -> Owner | None:
    """Return who writes to the store, or died writing; None where the last writer released it."""
    if BRANCH not in repository.list_branches():
        return None
    return _owner_in(repository.readonly_session(BRANCH))


def _owner_in(session: icechunk.Session) -> Owner | None:
    try:
        root = zarr.open_group(session.store, mode="r", zarr_format=3)
    except GroupNotFoundError:  # the branch was made, and nobody has taken the lock yet
        return None
    return parse(root.attrs.get("owner"))


def _move(session: icechunk.Session, owner: Owner | None) -> str:
    root = zarr.open_group(session.store, mode="a", zarr_format=3)
    root.attrs["owner"] = None if owner is None else owner._asdict()
    snapshot: str = session.commit("locked" if owner else "released")
    return snapshot
