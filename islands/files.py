"""One way to write a file or to fill a folder: whole or not at all, whenever the process is killed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

BEGUN = ".begun"
"""The hidden folder within one that is being filled, see `filling`; it stays where that was cut off."""


def write_whole(path: Path, data: bytes | str, *, durable: bool = True) -> None:
    """Write a file, or what is there before stays; its folder is made if need be.

    Args:
        path: of the file.
        data: bytes, or a text that is written as UTF-8.
        durable: whether it must outlast a power failure; that costs some milliseconds on a disk.

    Raises:
        OSError: it could not be written; nothing has changed.
    """
    content = data.encode() if isinstance(data, str) else data
    write_whole_by(path, lambda file: file.write(content), durable=durable)


def write_whole_by(path: Path, write: Callable[[IO[bytes]], object], *, durable: bool = True) -> None:
    """Do the same with what `write` writes into the file that it is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes of two containers that share the folder may have one number: a token tells them apart.
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with unfinished.open("wb") as file:
            write(file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


@contextmanager
def filling(folder: Path, last: str) -> Iterator[Path]:
    """Let the block fill a hidden folder, whose parts are then put into `folder`.

    What a process that was killed meanwhile has left is replaced.

    Args:
        folder: that is filled; made if need be.
        last: the part by which one knows that all others are there.
    """
    unfinished = folder / BEGUN
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    for part in sorted(unfinished.iterdir(), key=lambda part: part.name == last):
        shutil.rmtree(folder / part.name, ignore_errors=True)
        part.rename(folder / part.name)
    unfinished.rmdir()
