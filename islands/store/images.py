"""Pictures of elites: drawn from their genomes when wanted. The only part of the store that needs torch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from islands.config.own_code import Own, require_same, require_trusted
from islands.encodings.contract import Encoding
from islands.encodings.factory import build_encoding
from islands.encodings.settings import ENCODINGS, EncodingSettings
from islands.errors import StoreError
from islands.evolution.elites import Arrays
from islands.extensions.sections import Kept
from islands.store.labels import Label, as_text_chunks
from islands.store.png import save_in_bands
from islands.store.reader import StoreReader

Picture = npt.NDArray[np.uint8]

_LARGE = 2048
_IN_MEMORY = 1 << 25
"""Bytes of a table of genomes up to which all of them are kept in memory: a run of 1000 CPPNs has 4 MB."""

_AHEAD = 1 << 19
"""Bytes that are read at once, at least: what is asked for in order is not read row by row."""


def stored_encoding(reader: StoreReader, *, trust: bool = False) -> Encoding:
    """Return the encoding of the store's genomes.

    Args:
        reader: of the store.
        trust: whether to run code that the store names; see `islands.config.own_code.require_trusted`.

    Raises:
        ConfigError: the encoding is somebody else's, and its code is not trusted, not here, or has changed.
    """
    image = reader.attributes["image"]
    return build_encoding(encoding_settings(reader, trust=trust), image["channels"], image["size"])


def encoding_settings(reader: StoreReader, *, trust: bool = False) -> EncodingSettings:
    """Return the settings of the encoding, whose code is imported; see `stored_encoding`."""
    settings = reader.config.encoding
    if not isinstance(settings, Kept):
        return settings
    own = Own(ENCODINGS, settings.name)
    require_trusted(reader.path, [own], trust=trust)
    require_same(reader.code, [own])
    return ENCODINGS.get(settings.name).model_validate(settings.model_dump())


def render_elite(reader: StoreReader, class_: int, run: int = 0, size: int | None = None) -> Picture:
    """Draw one elite: uint8 (size, size, channels).

    At `size=None` it is what the network scored, byte for byte. Direct genomes, which are images themselves,
    come at other sizes with pixels repeated or left out.

    Raises:
        StoreError: there is no such run, class or elite.
    """
    if not 0 <= class_ < len(reader.classes):
        raise StoreError(
            f"{reader.path} has no class {class_}; it has classes 0 to {len(reader.classes) - 1}"
        )
    ids = reader.elite_columns(run, "id")["id"]
    if ids[class_] < 0:
        raise StoreError(
            f"run {run} of {reader.path} has no elite of class {class_} ({reader.classes[class_]}) yet;"
            " choose another class or run"
        )
    return render_genome(stored_encoding(reader), reader.genome(run, class_), size)


def render_cell(reader: StoreReader, run: int, cell: int, size: int | None = None) -> Picture:
    """Draw the elite of a cell, counted over all classes, which must be filled: see `render_elite`."""
    return render_genome(stored_encoding(reader), reader.cell_genomes(run, slice(cell, cell + 1)), size)


def render_all(
    reader: StoreReader, run: int, classes: Sequence[int], size: int | None = None
) -> Iterator[Picture]:
    """Draw the elites of `classes`, which must be filled, one after the other: see `render_elite`."""
    encoding, shelf = stored_encoding(reader), _elites_of(reader, run)
    return (render_genome(encoding, shelf.take(class_), size) for class_ in classes)


class Studio:
    """Draws the genomes of one run that are kept: those of elites, and of ancestors where there are any.

    Raises:
        StoreError: there is no checkpoint yet, or no such run; `genome` and `draw` raise it where what they
            read is damaged.
    """

    def __init__(self, reader: StoreReader, run: int) -> None:
        self._encoding = stored_encoding(reader)
        self._places: dict[int, tuple[_Shelf, int]] = {}
        ancestors = reader.ancestor_table(run)
        if ancestors is not None:
            self._add(_Shelf(len(ancestors.ids), ancestors.genomes, few=1), ancestors.ids)
        ids = reader.cell_columns(run, "id")["id"]
        self._add(_Shelf(len(ids), partial(reader.cell_genomes, run), few=16), ids)
        self._places.pop(-1, None)  # empty cells

    def __contains__(self, id_: int) -> bool:
        """Tell whether a genome is kept."""
        return id_ in self._places

    def genome(self, id_: int) -> Arrays | None:
        """Return the arrays of a genome, each (1, width); None where it is not kept."""
        if id_ not in self._places:
            return None
        shelf, row = self._places[id_]
        return shelf.take(row)

    def draw(self, id_: int, size: int | None = None) -> Picture | None:
        """Draw a genome, see `render_elite`; None where it is not kept."""
        genome = self.genome(id_)
        return None if genome is None else render_genome(self._encoding, genome, size)

    def _add(self, shelf: _Shelf, ids: npt.NDArray[Any]) -> None:
        self._places |= {genome: (shelf, row) for row, genome in enumerate(ids.tolist())}


class _Shelf:
    """The genomes of one table: all of them in memory where they are small, else the `few` read last.

    Several threads may take from it.
    """

    def __init__(self, count: int, read: Callable[[slice], Arrays], few: int) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._start, self._held = 0, read(slice(0, 1))
        width = sum(array.nbytes for array in self._held.values())
        self._step = count if count * width <= _IN_MEMORY else max(few, _AHEAD // width)
        if self._step > 1:
            self._held = read(slice(0, self._step))

    def take(self, row: int) -> Arrays:
        """Return the arrays of a genome, each (1, width)."""
        with self._lock:
            start = row // self._step * self._step
            if start != self._start:
                self._start, self._held = start, self._read(slice(start, start + self._step))
            return {name: array[row - start : row - start + 1] for name, array in self._held.items()}


def _elites_of(reader: StoreReader, run: int) -> _Shelf:
    return _Shelf(len(reader.classes), partial(reader.genomes, run), few=16)


def save_png(picture: Picture, path: Path, label: Label) -> None:
    """Write uint8 (H, W, 1 or 3) as a PNG of the same bytes that says what it is."""
    texts = as_text_chunks(label)
    if len(picture) > _LARGE:
        save_in_bands(picture, path, texts)
    else:
        as_image(picture).save(path, "PNG", pnginfo=texts)


def write_png(picture: Picture, stream: BinaryIO) -> None:
    """Write uint8 (H, W, 1 or 3) as a PNG of the same bytes."""
    as_image(picture).save(stream, "PNG")


def as_image(picture: Picture) -> Image.Image:
    """Return uint8 (H, W, 1 or 3) as an image of Pillow's, grey or RGB."""
    return Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


def render_genome(encoding: Encoding, genome: Arrays, size: int | None = None) -> Picture:
    """Draw a genome, whose arrays are each (1, width): see `render_elite`."""
    with torch.inference_mode():
        image = encoding.render(encoding.from_arrays(genome, torch.device("cpu")), size)[0]
    picture: Picture = image.permute(1, 2, 0).numpy()
    # A large picture stays as it was drawn, plane after plane: a copy would double the memory.
    return np.ascontiguousarray(picture) if len(picture) <= _LARGE else picture
