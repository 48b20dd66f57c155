"""Pictures in folders with the classes that they are meant for: exports, the authors' release, and others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from islands.classifiers.contract import Classifier
from islands.datasets.pictures import find_pictures, read_picture
from islands.errors import InputError
from islands.observe.lines import say
from islands.store.classes import find_class, find_folder
from islands.store.export import MANIFEST, ExportedStore
from islands.store.images import as_image, render_all

_CLASS_IN_NAME = (
    re.compile(  # the authors' release
        r"map_\d+_(?P<class>\d{1,18})_(?P<confidence>[-+]?\d+(\.\d*)?([eE][-+]?\d+)?)\.\w+", re.ASCII
    ),
    re.compile(r"run-\d+_class-(?P<class>\d{1,18})\.\w+", re.ASCII),  # `islands export --layout flat`
)


class Picture(NamedTuple):
    """Pixels uint8 (channels, H, W), the class that they are meant for, and a known confidence or NaN."""

    file: str
    class_: int
    confidence: float
    pixels: Tensor


class PictureFolder:
    """A folder of pictures, or what `islands export` wrote in whatever layout.

    The class that a picture is meant for is in its name, as in the authors' release
    (`map_<generation>_<class>_<confidence>.png`) or `islands export`, or is what a folder is called: by name,
    or by index where no folder bears a name. An export says which names its indices stand for.

    Raises:
        InputError: there are no pictures.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = ExportedStore(folder) if ExportedStore.is_at(folder) else None
        self._files = [] if self._store else find_pictures(folder)
        self._exported = self._store.classes if self._store else _exported_classes(folder)

    def shown_to(self, classifier: Classifier) -> Iterator[Picture]:
        """Give all pictures as a network sees them, grey or RGB.

        Raises:
            InputError: a picture cannot be read, or its class is not known or none of the network's.
        """
        if self._store is not None:
            yield from self._drawn(self._store, classifier)
            return
        for file, (class_, confidence) in self._meanings(classifier).items():
            pixels = torch.from_numpy(read_picture(file, classifier.channels).transpose(2, 0, 1).copy())
            yield Picture(file.relative_to(self._folder).as_posix(), class_, confidence, pixels)

    def _drawn(self, store: ExportedStore, classifier: Classifier) -> Iterator[Picture]:
        mode = "L" if classifier.channels == 1 else "RGB"
        for run in range(store.runs):
            stored = store.elite_columns(run, "confidence", "id")
            filled = [int(class_) for class_ in np.flatnonzero(np.greater_equal(stored["id"], 0))]
            for class_, picture in zip(filled, render_all(store, run, filled), strict=True):
                name = f"run-{run}_class-{class_:04}"
                meant = self._by_index(f"{self._folder}: {name}", class_, classifier)
                pixels = np.array(as_image(picture).convert(mode)).reshape(*picture.shape[:2], -1)
                confidence = float(stored["confidence"][class_])
                yield Picture(name, meant, confidence, torch.from_numpy(pixels).permute(2, 0, 1))

    def _meanings(self, classifier: Classifier) -> dict[Path, tuple[int, float]]:
        in_names = {file: found for file in self._files if (found := _in_name(file))}
        in_folders = self._by_folder([file for file in self._files if file not in in_names], classifier)
        return {
            file: (self._by_index(str(file), int(found["class"]), classifier), _confidence(found))
            if (found := in_names.get(file))
            else (in_folders[file], float("nan"))
            for file in self._files
        }

    def _by_index(self, what: str, index: int, classifier: Classifier) -> int:
        """Return the class of the network that `index` stands for: by name, where an export tells it."""
        names = self._exported or classifier.classes
        if index >= len(names):
            raise InputError(f"{what}: got class {index}; there are classes 0 to {len(names) - 1}")
        if names == classifier.classes:
            return index
        if names[index] not in classifier.classes:
            raise InputError(
                f"{what}: class {index} is {names[index]!r} in this export; expected a network with a class "
                f"of that name, which {classifier.name} has not"
            )
        return classifier.classes.index(names[index])

    def _by_folder(self, files: Sequence[Path], classifier: Classifier) -> dict[Path, int]:
        """Return the classes that the folders around files are called: all by name, or all by index."""
        means = cache(partial(find_folder, classifier.classes))
        found: dict[Path, int] = {}
        strangers: dict[Path, str] = {}
        for file in files:
            # The nearest first.
            folders = (*file.relative_to(self._folder).parts[-2::-1], self._folder.resolve().name)
            named = (class_ for class_ in map(means, folders) if class_ is not None)
            if (class_ := next(named, None)) is None:
                strangers[file] = folders[0]
            else:
                found[file] = class_
        if not strangers:
            return found
        if not found and all(_is_index(name, classifier) for name in strangers.values()):
            say(f"no folder is called as a class of {classifier.name} is: they are taken for indices")
            return {file: int(name) for file, name in strangers.items()}
        file, name = next(iter(strangers.items()))
        raise InputError(
            f"{file}: its class is neither in its name (map_<generation>_<class>_<score>.png) nor that of "
            f"the folder ({_why(name, classifier)})"
        )


def _in_name(file: Path) -> re.Match[str] | None:
    return next((found for pattern in _CLASS_IN_NAME if (found := pattern.fullmatch(file.name))), None)


def _confidence(found: re.Match[str]) -> float:
    return float(found.groupdict().get("confidence", "nan"))


def _is_index(name: str, classifier: Classifier) -> bool:
    return name.isascii() and name.isdecimal() and int(name[:18]) < len(classifier.classes)


def _why(name: str, classifier: Classifier) -> str:
    try:
        find_class(classifier.classes, name)
    except InputError as error:
        return str(error)
    return "others are called as classes are, so that this one is not taken for an index"


def _exported_classes(folder: Path) -> tuple[str, ...] | None:
    """Return the names that indices stand for in an export, or in a folder of one; None in other folders."""
    for place in (folder, *folder.resolve().parents[:2]):
        try:
            found = json.loads((place / MANIFEST).read_text(encoding="utf-8-sig"))
            return tuple(found["classes"]) if "fingerprint" in found else None
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return None
