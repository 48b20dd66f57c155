"""Text that people write, and text for them to copy."""

from __future__ import annotations

import codecs
import math
import shlex
from functools import cache
from importlib.metadata import PackageNotFoundError, version

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


@cache
def islands_version() -> str:
    """Return the version that is installed; a checkout that is not has none that is known."""
    try:
        return version("islands")
    except PackageNotFoundError:
        return "unknown"


def percent(share: float) -> str:
    """Return a share of 0 to 1 with two decimals, and as many more as tell it from none and from all.

    Only what is exactly 1 is 100 %: confidences near 1 differ in late digits, and that is what matters.

    >>> [percent(share) for share in (0, 0.00002, 0.0421, 0.9, 0.99991, 1)]
    ['0 %', '0.002 %', '4.21 %', '90.00 %', '99.991 %', '100 %']
    """
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    nearest = min(share, 1 - share)
    if nearest < _NEAREST:
        return "< 0.000001 %" if share < 0.5 else "> 99.999999 %"
    # A little less: 1 - 0.9999 is a little less than 0.0001.
    decimals = max(2, math.ceil(-math.log10(nearest) - 1e-9) - 2)
    return f"{100 * share:.{decimals}f} %"


def duration(seconds: float) -> str:
    """Return a time for people.

    >>> [duration(each) for each in (3.14, 75, 7300, 200_000)]
    ['3.1 seconds', '75 seconds', '2.0 hours', '2.3 days']
    """
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:,.0f} seconds" if seconds >= 10 else f"{seconds:.1f} seconds"


def level(share: float) -> str:
    """Return a share that somebody chose, such as a threshold, with the digits that it has.

    >>> [level(share) for share in (0.5, 0.99, 0.9999)]
    ['50 %', '99 %', '99.99 %']
    """
    return f"{100 * share:.10g} %"


_NEAREST = 1e-8
"""The distance from none and from all that can still be told: float32 has steps of 6e-8 below 1."""
