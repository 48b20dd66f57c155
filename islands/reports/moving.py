"""Pictures that move, and pictures in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.text import Text

from islands.store.images import Picture, as_image

_LAST_MS = 2000


def save_animation(pictures: Sequence[Picture], path: Path, frame_ms: int = 250) -> None:
    """Write pictures as an endless animation that rests on the last; `path` ends in .gif or .webp.

    WebP keeps every byte of the pictures; GIF has 256 colours a frame.
    """
    frames = [as_image(picture).convert("RGB") for picture in pictures]
    durations = [frame_ms] * (len(frames) - 1) + [_LAST_MS]
    options: dict[str, Any] = {"lossless": True} if path.suffix.lower() == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options)


def in_blocks(picture: Picture, width: int) -> Text:
    """Return a picture as coloured half blocks, `width` characters wide."""
    image = as_image(picture).convert("RGB").resize((width, width - width % 2), Image.Resampling.BOX)
    pixels = np.asarray(image)
    text = Text()
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            text.append("▀", f"rgb({','.join(map(str, above))}) on rgb({','.join(map(str, below))})")
        text.append("\n")
    return text
