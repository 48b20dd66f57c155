"""Runs code of the user's: what it raises is told in one line that says where."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from islands.errors import InputError, IslandsError

_OURS = Path(__file__).parents[1]
_INSTALLED = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")})
_PACKAGES = ("site-packages", "dist-packages")


@contextmanager
def told(what: str, remedy: str, raises: type[InputError]) -> Iterator[None]:
    """Turn whatever is raised within the block into a line: `what`, the error, its place, `remedy`.

    What is printed meanwhile goes to stderr, for stdout may be read by a program. Code that ends the process,
    as argparse does, ends the block alone.

    Args:
        what: was done.
        remedy: what to do.
        raises: the error that says so.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (IslandsError, KeyboardInterrupt):  # our own errors say what to do
        raise
    except BaseException as error:
        # For a lack of memory of a GPU `attempt` says it. It is torch's, which is slow to import.
        if type(error).__name__ == "OutOfMemoryError":
            raise
        raise raises(f"{what} {describe_error(error)}{place_of(error)}; {remedy}") from error


def describe_error(error: BaseException) -> str:
    """Return type and first line of an error."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    lines = text.strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def place_of(error: BaseException) -> str:
    """Return ` (FILE, line N)` of the user's line that raised an error; empty where no line of theirs did."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    users = [
        frame for frame in frames if not frame.filename.startswith("<") and not _is_known(frame.filename)
    ]
    return f" ({users[-1].filename}, line {users[-1].lineno})" if users else ""


def _is_known(file: str) -> bool:
    path = Path(file)
    return path.is_relative_to(_OURS) or is_installed(path)


def is_installed(path: Path) -> bool:
    """Tell whether a file belongs to Python or to an installed package."""
    return any(map(path.is_relative_to, _INSTALLED)) or any(part in _PACKAGES for part in path.parts)
