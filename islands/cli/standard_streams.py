"""Standard streams and arguments as a batch system, cron or a bare container gives them."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from islands.errors import InputError


def repair_streams() -> None:
    """Open what is closed, and let text through that the terminal's encoding lacks, escaped.

    Without this the next file that is opened, such as one of a store, would become the standard output of
    some library.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8")
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def require_encodable(text: str, what: str) -> None:
    """Check that the standard output can show `text`.

    Raises:
        InputError: it cannot; `what` says of what it is.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        raise InputError(
            f"this terminal's encoding is {encoding}, which has no signs for {what}; set LC_ALL=C.UTF-8, or"
            " write a file with --out"
        ) from None


def decoded(arguments: Sequence[str]) -> list[str]:
    """Return arguments as the UTF-8 that they are, whatever the locale made Python take them for.

    Raises:
        InputError: one is no UTF-8.
    """
    try:
        return [os.fsencode(argument).decode() for argument in arguments]
    except UnicodeDecodeError as error:
        raise InputError(f"got an argument that is not UTF-8: {error.object!r}") from None
