"""Pictures that move, and pictures in a terminal."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.text import Text

from islands.errors import InputError, IslandsError
from islands.store.images import Picture, as_image

_LAST_MS = 2000

_CAPTIONED, _LINE = 224, 20
"""Pixels: the width that a caption needs, and its height."""


def save_animation(
    pictures: Sequence[Picture], path: Path, frame_ms: int = 250, captions: Sequence[str] = ()
) -> None:
    """Write pictures as an endless animation that rests on the last; `path` ends in .gif, .webp or .mp4.

    WebP keeps every byte of the pictures; GIF has 256 colours a frame; MP4 does not repeat.

    Args:
        pictures: one or more of one size.
        path: what is written.
        frame_ms: milliseconds of each but the last.
        captions: a line below each picture, or none; small pictures are enlarged for it, whole pixels each.

    Raises:
        InputError: .mp4, and there is no ffmpeg.
    """
    frames = [as_image(picture).convert("RGB") for picture in pictures]
    if captions:
        frames = [_captioned(frame, text) for frame, text in zip(frames, captions, strict=True)]
    if path.suffix.lower() == ".mp4":
        _save_mp4(frames, path, frame_ms)
        return
    durations = [frame_ms] * (len(frames) - 1) + [_LAST_MS]
    options: dict[str, Any] = {"lossless": True} if path.suffix.lower() == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options)


def _captioned(frame: Image.Image, text: str) -> Image.Image:
    times = max(1, math.ceil(_CAPTIONED / frame.width))
    width, height = frame.width * times, frame.height * times
    page = Image.new("RGB", (width, height + _LINE), "white")
    page.paste(frame.resize((width, height), Image.Resampling.NEAREST))
    ImageDraw.Draw(page).text((4, height + 3), text, "black", ImageFont.load_default(11))
    return page


def _save_mp4(frames: Sequence[Image.Image], path: Path, frame_ms: int) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        raise InputError(
            f"{path.name}: videos need the program ffmpeg, which is not here; .webp and .gif do not"
        )
    size = f"{frames[0].width}x{frames[0].height}"
    command = [program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size]
    command += ["-r", f"{1000 / frame_ms:g}", "-i", "-", "-an", "-pix_fmt", "yuv420p"]
    # Players know this of all formats; it needs even sides.
    command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", "-r", "25", str(path)]
    shown = [*frames, *[frames[-1]] * (_LAST_MS // frame_ms)]
    done = subprocess.run(command, input=b"".join(each.tobytes() for each in shown), capture_output=True)
    if done.returncode:
        raise IslandsError(f"ffmpeg could not write {path}: {done.stderr.decode(errors='replace').strip()}")


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
