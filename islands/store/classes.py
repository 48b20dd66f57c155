"""Finding classes by what a person types, and by what a folder is called."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import index as as_int
from typing import SupportsIndex

from islands.errors import InputError

# 18 digits at most: Python refuses to read numbers of thousands, and no network has so many classes.
_INDEX = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"(?P<kind>name:|index:|)(?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})")
_EXPORTED = re.compile(r"(?P<index>[0-9]{4,18})_(?P<name>.*)")


def find_class(classes: Sequence[str], text: str | SupportsIndex) -> int:
    """Return the index of the class that `text` means: `name:NAME`, `index:INDEX`, or one of the two alone.

    A number is an index. Names are found in whatever case, but only whole.

    Raises:
        InputError: no class, or several; the message shows them and how each is written.
    """
    if not isinstance(text, str):
        return _at(classes, str(as_int(text)))
    kind, colon, rest = text.partition(":")
    if colon and kind == "index":
        return _at(classes, rest)
    if colon and kind == "name":
        return _only(classes, rest, _named(classes, rest))
    named = _named(classes, text)
    if _INDEX.fullmatch(text) and (int(text) < len(classes) or not named):
        index = _at(classes, text)
        if named not in ([], [index]):
            raise InputError(
                f"{text!r} is the name of class {_listed(classes, named)} and the index of class "
                f"{_listed(classes, [index])}; write name:{text} or index:{text}"
            )
        return index
    return _only(classes, text, named)


def find_range(classes: Sequence[str], text: str) -> list[int]:
    """Return the classes that a list such as `0-9,291,name:lion` means, in its order.

    `index:0-9` is a range of indices, `name:0-9` one of names that are numbers; `0-9` is either, where both
    are the same classes.

    Raises:
        InputError: it means none, or one that is not there, or could mean several.
    """
    # A name may have a comma in it.
    if "," in text and (named := _named(classes, text)):
        return [_only(classes, text, named)]
    return [class_ for part in text.split(",") for class_ in _part(classes, part.strip())]


def folder_name(class_: int, name: str) -> str:
    """Return what `islands export --layout folder` calls the folder of a class."""
    # Numbers first: in the order of names, which gives labels, classes keep their order.
    return f"{class_:04}_{_safe(name)}"


def find_folder(classes: Sequence[str], folder: str) -> int | None:
    """Return the class of which a folder bears the name, as it is or as `folder_name` has it; None: of none.

    Raises:
        InputError: it could be the name of several.
    """
    if not (named := _named(classes, folder)) and (exported := _EXPORTED.fullmatch(folder)):
        named = [index for index, name in enumerate(classes) if _safe(name) == exported["name"]]
        if (index := int(exported["index"])) in named:
            return index
    return _only(classes, folder, named) if named else None


def _safe(name: str) -> str:
    return re.sub(r"[^\w-]+", "_", name).strip("_")[:80]


def _part(classes: Sequence[str], part: str) -> Iterator[int]:
    range_, named = _RANGE.fullmatch(part), _named(classes, part.removeprefix("name:"))
    if range_ is None or named:
        if range_ is not None and part in classes and int(range_["last"]) < len(classes):
            raise InputError(
                f"{part!r} is the name of class {_listed(classes, named)} and a range of indices; write "
                f"name:{part} or index:{part}"
            )
        yield find_class(classes, part)
        return
    kind, first, last = range_.groups()
    if int(first) > int(last):
        raise InputError(f"{part!r} runs backwards; expected the smaller number first")
    for number in range(int(first), int(last) + 1):
        # Names that are numbers keep their leading zeros: 00 to 02.
        yield find_class(classes, f"{kind}{number:0{len(first)}}")


def _at(classes: Sequence[str], text: str) -> int:
    if not _INDEX.fullmatch(text) or int(text) >= len(classes):
        raise InputError(f"there is no class {text}; the network has classes 0 to {len(classes) - 1}")
    return int(text)


def _named(classes: Sequence[str], text: str) -> list[int]:
    """Return the classes of that very name, or else those whose names differ in case alone."""
    exact = [index for index, name in enumerate(classes) if name == text]
    wanted = _plain(text)
    return exact or [index for index, name in enumerate(classes) if _plain(name) == wanted]


@lru_cache(1 << 16)
def _plain(name: str) -> str:
    # File systems write accents in other bytes than label files do.
    return unicodedata.normalize("NFC", name).strip().casefold()


def _only(classes: Sequence[str], text: str, found: Sequence[int]) -> int:
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"{len(found)} classes are called {text!r}: {_listed(classes, found)}; "
            f"write index:{found[0]} or index:{found[1]}"
        )
    if not (wanted := _plain(text)):
        raise InputError("a class is missing; give a name or an index, such as 0-9,291")
    names = [_plain(name) for name in classes]
    near = [index for index, name in enumerate(names) if wanted in name]
    near = near or [names.index(name) for name in difflib.get_close_matches(wanted, names, n=3)]
    if not near:
        raise InputError(f"no class is called {text!r}; give its whole name, or an index")
    hint = f"did you mean {_listed(classes, near)}? write {_spelt(classes, near[0])}"
    raise InputError(f"no class is called {text!r}; {hint}")


def _spelt(classes: Sequence[str], index: int) -> str:
    """Return what means a class and no other."""
    for text in (classes[index], f"name:{classes[index]}"):
        try:
            if find_class(classes, text) == index:
                return text
        except InputError:
            continue
    return f"index:{index}"


def _listed(classes: Sequence[str], indices: Sequence[int]) -> str:
    shown = ", ".join(f"{index} ({classes[index]})" for index in indices[:5])
    return shown if len(indices) <= 5 else f"{shown}, …"
