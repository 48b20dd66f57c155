"""Text that people write, and text for them to copy."""

from __future__ import annotations

import codecs
import shlex

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # it begins as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(data: bytes) -> str:
    """Return a file's text: UTF-8, or what its byte-order mark says.

    Raises:
        UnicodeDecodeError: it is not text.
    """
    return data.decode(next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8"))


def islands_command(*words: object) -> str:
    """Return a command line that a shell takes as it is meant, whatever is in the names of its files.

    >>> islands_command("resume", "my runs/first")
    "islands resume 'my runs/first'"
    """
    return shlex.join(["islands", *map(str, words)])
