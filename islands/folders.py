"""Folders of this user. Batch jobs and containers often have no home, or one that is read-only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

from islands.errors import DataError


def ensure_home() -> None:
    """Give this process and those that it starts a home, where the system knows none for its user.

    Ray, pip and others look for one, and take `~` for the name of a folder where there is none.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(_temporary())


def cache_directory(*parts: str, holds: Callable[[Path], bool] = Path.exists) -> Path:
    """Return where something that was fetched or trained once is kept, or will be.

    That is `ISLANDS_CACHE` if it is set, else the user's cache directory or, where that lacks the thing and
    cannot be written, a folder of the user's among the temporary files.

    Args:
        parts: the thing's path within the folder; none: the folder.
        holds: whether a path has all of it.

    Raises:
        DataError: it is not there, and cannot be put there.
    """
    if chosen := os.environ.get("ISLANDS_CACHE"):
        place = Path(chosen).joinpath(*parts)
        return place if holds(place) else require_writable(place, "ISLANDS_CACHE")
    ensure_home()
    own = Path(platformdirs.user_cache_dir("islands")).joinpath(*parts)
    if holds(own) or is_writable(own):
        return own
    return _temporary().joinpath(*parts)


def state_directory() -> Path:
    """Return where runs in the background are noted: the user's own folder, or one for want of that."""
    ensure_home()
    own = Path(platformdirs.user_state_dir("islands"))
    return own if is_writable(own) else _temporary()


def require_writable(folder: Path, variable: str) -> Path:
    """Return a folder that files can be made in once it is made itself.

    Args:
        folder: it may be missing.
        variable: of the environment, which names it.

    Raises:
        DataError: they cannot.
    """
    if not is_writable(folder):
        raise DataError(f"{folder} cannot be written; set {variable} to a folder that can be")
    return folder


def is_writable(folder: Path) -> bool:
    """Tell whether files can be made in a folder, or in what it would be made in."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        # Permissions tell little: a file system may be read-only or full, or take no files, such as /proc.
        with tempfile.TemporaryFile(dir=nearest):
            return True
    except OSError:
        return False


def _temporary() -> Path:
    """Return a folder of this user among the temporary files: nobody else can put files there."""
    folder = Path(tempfile.gettempdir()) / f"islands-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise DataError(
            f"{folder} belongs to somebody else, or others can write it; set TMPDIR to another folder"
        )
    return folder
