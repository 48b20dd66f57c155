"""Commits while evolution goes on, and tries again what fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Self

from islands.errors import StoreLockedError

_log = logging.getLogger(__name__)

PAUSES_S: Sequence[float] = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before each further try: by then room may have been made, or a bucket may be back."""


class Committer:
    """Commits one after the other on a thread of its own, so that nobody waits for the disk.

    A commit that fails is tried again, see `PAUSES_S`, and so must be safe to repeat. When one fails for
    good, none follows: it would lack what the failed one held. A lost lock is for good at once.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._last: Future[None] | None = None
        self._failure: BaseException | None = None
        self._leaving = Event()
        self.failures = 0
        """Tries that the commit under way has failed."""

    @property
    def is_idle(self) -> bool:
        """Whether a commit could start at once."""
        return self._last is None or self._last.done()

    def require_sound(self) -> None:
        """Raise what a commit failed of for good, if one has."""
        if self._failure is not None:
            raise self._failure

    def submit(self, what: str, commit: Callable[[], object]) -> None:
        """Commit when those before have succeeded; `what` is for the log."""
        self._last = self._pool.submit(self._commit, what, commit)

    def _commit(self, what: str, commit: Callable[[], object]) -> None:
        if self._failure is None:
            try:
                self._persist(what, commit)
            except BaseException as error:
                # Kept and not raised: nobody asks for the result of this thread. See `require_sound`.
                self._failure = error

    def _persist(self, what: str, commit: Callable[[], object]) -> None:
        for pause in PAUSES_S:
            try:
                commit()
            except StoreLockedError:
                raise
            except Exception as error:
                self.failures += 1
                _log.warning("commit of %s failed, next try in %g s: %s", what, pause, error)
                # A second Ctrl-C ends the pause, which a sleep would sit out.
                if self._leaving.wait(pause):
                    raise
            else:
                self.failures = 0
                return
        commit()
        self.failures = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        # A second Ctrl-C waits for the try under way and for no further one.
        if error is not None and not isinstance(error, Exception):
            self._leaving.set()
        try:
            self._pool.shutdown(wait=True)
        except BaseException:
            self._leaving.set()
            self._pool.shutdown(wait=True)
            raise
        # `require_sound` may have raised the failure already.
        if self._failure is None or self._failure is error:
            return
        if error is None:
            raise self._failure
        error.add_note(f"the last commit failed as well: {self._failure}")
