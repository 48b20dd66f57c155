"""Code that is named in a file: `MODULE:NAME`, or `file:PATH.py:NAME`."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from islands.errors import InputError
from islands.extensions.foreign import told
from islands.extensions.importing import importable, module_of_file

USAGE = "MODULE:NAME or file:PATH.py:NAME"

_PATTERN = re.compile(r"file:.+\.py:[A-Za-z_]\w*|[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class Place(NamedTuple):
    """Where a reference leads to.

    Attributes:
        folder: in which modules are found first.
        file: within it; None: it is the module `module`.
        module: dotted name; empty where there is a file.
        name: of what is meant there.
    """

    folder: Path
    file: Path | None
    module: str
    name: str

    @property
    def shown(self) -> str:
        """What messages call it."""
        return str(self.file) if self.file else self.module


_moved: dict[str, Path] = {}
"""Folders where code lies that came with the work, by reference: see `islands.extensions.travel`."""


def is_reference(name: str) -> bool:
    """Tell whether a name leads to code."""
    return _PATTERN.fullmatch(name) is not None


def place_of(reference: str) -> Place:
    """Return where a reference leads to, seen from the current folder."""
    where, _, name = reference.rpartition(":")
    moved = _moved.get(reference)
    if where.startswith("file:"):
        file = Path(where.removeprefix("file:"))
        file = file if moved is None else moved / file.name
        return Place(file.parent, file, "", name)
    return Place(Path.cwd() if moved is None else moved, None, where, name)


def move(reference: str, folder: Path) -> None:
    """Let a reference lead into another folder from now on, in this process."""
    _moved[reference] = folder


@contextmanager
def imported(reference: str, expected: str, raises: type[InputError]) -> Iterator[Any]:
    """Import what a reference means; within the block, modules beside it can be imported.

    Args:
        reference: see `is_reference`.
        expected: what there should be, for the message where there is nothing of that name.
        raises: what errors are.
    """
    place = place_of(reference)
    with importable(place.folder, place.shown):
        with told(f"{reference}: its import failed with", "mend that first", raises):
            module = _module(place, raises)
            found = getattr(module, place.name, None)
        if found is None:
            what = f"{place.shown} has no function or class {place.name!r}"
            raise raises(f"{reference}: {what}; expected {expected}")
        yield found


def _module(place: Place, raises: type[InputError]) -> ModuleType:
    if place.file is not None:
        return _from_file(place.file, raises)
    try:
        return importlib.import_module(place.module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place.module}.".startswith(f"{error.name}."):
            # The module is there, and something that it imports is not.
            raise
        raise raises(
            f"{place.module}: there is no module {error.name!r} in {Path.cwd()} or among installed packages; "
            "run from the folder that holds it, or name it file:PATH.py:NAME"
        ) from None


def _from_file(file: Path, raises: type[InputError]) -> ModuleType:
    try:
        return module_of_file(file)
    except FileNotFoundError as error:
        if file.is_file():  # the error is the user's code's
            raise
        raise raises(
            f"file:{file}: there is no such Python file; expected a path from {Path.cwd()}"
        ) from error


def implementation(made_by: str) -> Any:
    """Return what `MODULE:NAME` means among what is installed, where settings say what is made of them."""
    module, _, name = made_by.partition(":")
    return getattr(importlib.import_module(module), name)
