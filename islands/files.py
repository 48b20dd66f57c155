"""One way to write a file: whole or not at all, whenever the process is killed or the power fails."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO


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
