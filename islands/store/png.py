"""PNG files of large pictures, a few rows at a time.

Pillow would hold the whole picture once more, in four bytes a pixel.
Written after the PNG specification (third edition), https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL.PngImagePlugin import PngInfo

_ROWS = 64
_COLOUR_TYPE = {1: 0, 3: 2}


def save_in_bands(picture: npt.NDArray[np.uint8], path: Path, texts: PngInfo | None = None) -> None:
    """Write uint8 (H, W, 1 or 3), in any memory order, as a PNG of the same bytes, with `texts`."""
    height, width, channels = picture.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header))
        for kind, content, *_ in texts.chunks if texts else ():
            file.write(_chunk(kind, content))
        compressor = zlib.compressobj(6)
        for rows in _filtered(picture):
            file.write(_chunk(b"IDAT", compressor.compress(rows)))
        file.write(_chunk(b"IDAT", compressor.flush()) + _chunk(b"IEND", b""))


def _filtered(picture: npt.NDArray[np.uint8]) -> Iterator[bytes]:
    """Give the filtered rows of one band after another, each row by the filter that leaves the least."""
    height, width, channels = picture.shape
    above = np.zeros((1, width * channels), np.uint8)
    for start in range(0, height, _ROWS):
        rows = np.ascontiguousarray(picture[start : start + _ROWS]).reshape(-1, width * channels)
        # Filter 1 predicts a byte from the pixel to the left, filter 2 from the one above.
        left = np.pad(rows, ((0, 0), (channels, 0)))[:, :-channels]
        choices = np.stack([rows - left, rows - np.concatenate([above, rows[:-1]])])
        # By the heuristic of the specification: the least sum of absolute values, of bytes taken as signed.
        # In int16, since -128 has no absolute value in int8.
        best = np.abs(choices.view(np.int8).astype(np.int16)).sum(2, dtype=np.int64).argmin(0)
        above = rows[-1:].copy()
        filtered = choices[best, np.arange(len(rows))]
        yield np.concatenate([(best + 1).astype(np.uint8)[:, None], filtered], axis=1).tobytes()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
