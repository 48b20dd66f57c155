"""Keeps from stderr what Rust code says of its panics: an error in one line tells of them.

Icechunk panics over some damaged stores. Rust writes of it to file descriptor 2, which Python does not see.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from functools import wraps
from tempfile import TemporaryFile
from typing import ParamSpec, TextIO, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def without_panics(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Wrap a command that reads a store and starts no other process."""

    @wraps(command)
    def quiet(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with panics_hidden():
            return command(*args, **kwargs)

    return quiet


@contextmanager
def panics_hidden() -> Iterator[None]:
    """Hold back what other code than Python's writes to stderr; pass it on at the end if no panic is told."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with TemporaryFile() as said, redirect_stderr(_writing_to(kept)):
            os.dup2(said.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                said.seek(0)
                if b"panicked at" not in (text := said.read()):
                    os.write(2, text)
    finally:
        os.close(kept)


def _writing_to(descriptor: int) -> TextIO:
    """Return Python's stderr, bound to `descriptor` if it is what the process started with."""
    stderr = sys.stderr
    if stderr is not sys.__stderr__:
        return stderr
    assert stderr is not None
    return open(descriptor, "w", buffering=1, encoding=stderr.encoding, errors=stderr.errors, closefd=False)
