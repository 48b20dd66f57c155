"""What a PNG says of itself: its elites, their checkpoint, and the command that draws it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, PngImagePlugin

from islands.errors import InputError
from islands.store.reader import StoreReader
from islands.texts import islands_command, islands_version

Label = Mapping[str, str]
"""Texts by keyword, as `islands show FILE.png` prints them."""

_PREFIX = "islands:"


class Shown(NamedTuple):
    """An elite in a picture."""

    class_: int
    confidence: Any
    """As it is stored: the text of a float32 has the digits that tell it from others, and no more."""
    genome: int


def shown_elites(reader: StoreReader, run: int, classes: Sequence[int]) -> list[Shown]:
    """Return the best elites of those of `classes` that have any."""
    stored = reader.elite_columns(run, "confidence", "id")
    return [
        Shown(class_, stored["confidence"][class_], int(stored["id"][class_]))
        for class_ in classes
        if stored["id"][class_] >= 0
    ]


def elite_label(reader: StoreReader, run: int, elite: Shown, command: str) -> dict[str, str]:
    """Return the label of a picture of one elite."""
    return {
        "class": str(elite.class_),
        "name": reader.classes[elite.class_],
        "confidence": str(elite.confidence),
        "genome": str(elite.genome),
        **_origin(reader, run, command),
    }


def sheet_label(reader: StoreReader, run: int, elites: Sequence[Shown], command: str) -> dict[str, str]:
    """Return the label of a picture of many elites, which has a line for each."""
    lines = (
        f"class {class_} ({reader.classes[class_]}): confidence {confidence}, genome {genome}"
        for class_, confidence, genome in elites
    )
    return {"elites": "\n".join(lines), **_origin(reader, run, command)}


def show_command(reader: StoreReader, run: int, *options: object) -> str:
    """Return the command that draws a picture again from the same checkpoint."""
    return islands_command("show", reader.path, "--run", run, "--at", reader.session.snapshot_id, *options)


def _origin(reader: StoreReader, run: int, command: str) -> dict[str, str]:
    return {
        "run": str(run),
        "store": reader.path.name,
        "network": reader.config.network.name,
        "fingerprint": reader.attributes["fingerprint"],
        "snapshot": reader.session.snapshot_id,
        "epoch": str(reader.epoch),
        "generation": str(reader.generation),
        "version": islands_version(),
        "command": command,
    }


def as_text_chunks(label: Label) -> PngImagePlugin.PngInfo:
    """Return a label as what Pillow writes into a PNG: an international text for each keyword."""
    info = PngImagePlugin.PngInfo()
    for keyword, text in label.items():
        info.add_itxt(_PREFIX + keyword, text)
    return info


def read_label(file: Path) -> dict[str, str]:
    """Return what a PNG of Islands says of itself.

    Raises:
        InputError: it is no PNG, or says nothing.
    """
    try:
        with Image.open(file, formats=["PNG"]) as image:
            texts = {
                key: value
                for key, value in image.info.items()
                if isinstance(key, str) and isinstance(value, str)
            }
    except (OSError, ValueError, SyntaxError):
        raise InputError(f"{file} cannot be read as a PNG; expected a store, or a PNG of Islands") from None
    label = {key.removeprefix(_PREFIX): text for key, text in texts.items() if key.startswith(_PREFIX)}
    if not label:
        raise InputError(f"{file} does not say what it shows: another program wrote it, or an older Islands")
    return label
