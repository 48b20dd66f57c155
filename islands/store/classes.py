"""Finding a class by what a person types."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from islands.errors import InputError


def find_class(classes: Sequence[str], text: str) -> int:
    """Return the index of the class that `text` means: its index, its name, or an unambiguous part of it.

    Raises:
        InputError: no class, or several; the message names those that come close.
    """
    if text.isdecimal():
        if int(text) >= len(classes):
            raise InputError(f"there is no class {text}; the network has classes 0 to {len(classes) - 1}")
        return int(text)
    wanted = text.casefold()
    names = [name.casefold() for name in classes]
    found = [index for index, name in enumerate(names) if name == wanted]
    found = found or [index for index, name in enumerate(names) if wanted in name]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"{len(found)} classes are called {text!r}: {_listed(classes, found)}; give the index"
        )
    close = difflib.get_close_matches(wanted, names, n=3)
    hint = (
        f"did you mean {_listed(classes, [names.index(name) for name in close])}"
        if close
        else "give an index"
    )
    raise InputError(f"no class is called {text!r}; {hint}")


def find_range(classes: Sequence[str], text: str) -> list[int]:
    """Return the classes that a list such as `0-9,291,lion` means, in its order.

    Raises:
        InputError: it means none, or one that is not there.
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if dash and first.isdecimal() and last.isdecimal():
            found += range(find_class(classes, first), find_class(classes, last) + 1)
        else:
            found.append(find_class(classes, part.strip()))
    if not found:
        raise InputError(f"{text!r} means no class; give classes such as 0-9,291")
    return found


def _listed(classes: Sequence[str], indices: Sequence[int]) -> str:
    shown = ", ".join(f"{index} ({classes[index]})" for index in indices[:5])
    return shown if len(indices) <= 5 else f"{shown}, …"
