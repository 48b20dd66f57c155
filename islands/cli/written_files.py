"""Files that commands write: what they are called, and that none is written over unasked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from islands.errors import InputError

if TYPE_CHECKING:
    from islands.store.reader import StoreReader

_LONGEST = 40


def default_file(reader: StoreReader, *parts: object, run: int = 0, suffix: str = "png") -> Path:
    """Return the name of a file in the folder where one is: of the store, then what the file shows.

    Args:
        reader: the store, at a checkpoint that the name tells where it is not the last.
        parts: what it shows, as few words as tell it from others.
        run: counted from 0, which goes without saying.
        suffix: without its dot.
    """
    latest = reader.checkpoints()[-1:]
    is_latest = not latest or latest[0].epoch == reader.epoch
    words = [
        reader.path.name,
        *([f"run-{run}"] if run else []),
        *(str(part) for part in parts),
        *([] if is_latest else [f"epoch-{reader.epoch}"]),
    ]
    return Path(f"{'-'.join(words)}.{suffix}")


def class_words(reader: StoreReader, class_: int) -> str:
    """Return the index of a class and what a file can have of its name: twins have one name.

    Such as `291-lion`; `3` where the name is the index.
    """
    name = re.sub(r"[^\w]+", "-", reader.classes[class_].casefold())[:_LONGEST].strip("-")
    return str(class_) if name in ("", str(class_)) else f"{class_}-{name}"


def require_new(file: Path, force: bool) -> None:
    """Check that a file may be written.

    Raises:
        InputError: it is there already, and `force` is not given.
    """
    if file.is_file() and not force:
        raise InputError(f"{file} exists and is left as it is; --force writes over it, or name another file")
