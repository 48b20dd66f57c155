"""Reads pictures that people bring: the one reader of picture files and of folders of them."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from islands.errors import DataError

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
)
"""What names of picture files end in, in whatever case."""

_OF_OTHERS = ("__MACOSX", "@eaDir")
"""Folders that archivers and file servers leave among pictures."""

_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
_SIXTEEN_BITS = ("PNG", "PPM")
"""Formats whose integers have 16 bits, whatever Pillow holds them in."""
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


def find_pictures(folder: Path) -> list[Path]:
    """Return the pictures in a folder and below, sorted by folder and name; hidden ones are left out.

    Raises:
        DataError: there are none.
    """
    found = sorted(_walk(folder), key=lambda path: (str(path.parent), path.name))
    if not found:
        known = ", ".join(sorted(SUFFIXES))
        raise DataError(f"{folder} has no pictures in it or below; expected files that end in {known}")
    return found


def find_class_folders(folder: Path) -> list[Path]:
    """Return the folders in `folder`, sorted by name; hidden ones are left out.

    Raises:
        DataError: there are none.
    """
    there = folder.iterdir() if folder.is_dir() else ()
    found = [path for path in there if path.is_dir() and _is_shown(path)]
    if not found:
        raise DataError(f"{folder}: got no folders in it; expected a folder of pictures for each class")
    return sorted(found, key=lambda path: path.name)


def read_picture(file: Path, channels: int) -> npt.NDArray[np.uint8]:
    """Return a picture as (H, W, channels): grey or RGB, and turned as its camera says.

    What has more than 8 bits keeps the upper 8. Transparent parts are shown on white; of pictures that move
    the first is taken.

    Raises:
        DataError: it is no picture, or damaged, or of numbers whose range nobody knows.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file) as opened:
            upright = _eight_bits(ImageOps.exif_transpose(opened), opened)
            flat = _on_white(upright).convert("L" if channels == 1 else "RGB")
    except _Unclear as error:
        raise DataError(f"{file}: {error}") from None
    # Pillow's readers raise what they stumble over.
    except (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, struct.error) as error:
        raise DataError(f"{file}: cannot be read as a picture: {str(error).partition(chr(10))[0]}") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{file}: {error}") from None
    return np.asarray(flat).reshape(flat.height, flat.width, channels)


class _Unclear(Exception):  # noqa: N818 - it never leaves this module
    """What a picture's numbers mean is not known."""


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if not _is_shown(path):
            continue
        if path.is_dir():
            # A link to a folder above would be walked for ever.
            if not (path.is_symlink() and folder.resolve().is_relative_to(path.resolve())):
                yield from _walk(path)
        elif path.suffix.lower() in SUFFIXES:
            yield path


def _is_shown(path: Path) -> bool:
    return not path.name.startswith(".") and path.name not in _OF_OTHERS


def _eight_bits(picture: Image.Image, opened: Image.Image) -> Image.Image:
    """Return a grey picture of more than 8 bits with its upper 8; Pillow does so itself with colours.

    Only what was `opened` still knows how it was stored.
    """
    if picture.mode in _DEEP:
        tags = getattr(opened, "tag_v2", {})
        bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
        grey = (np.asarray(picture) >> (bits - 8)).astype(np.uint8)
        return Image.fromarray(~grey if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else grey)
    if picture.mode == "I" and opened.format in _SIXTEEN_BITS:
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        kind = "32-bit integers" if picture.mode == "I" else "floating-point numbers"
        raise _Unclear(f"got {kind}, and which of them is white nobody knows; save it with 8 or 16 bits")
    return picture


def _on_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture
    shown = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)
