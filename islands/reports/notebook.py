"""What notebooks show: animations, figures and lineages, which draw themselves."""

from __future__ import annotations

import base64
import html
import io
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from islands.errors import StoreError
from islands.reports.lineage import caption, drawn
from islands.reports.moving import save_animation
from islands.reports.style import styled
from islands.store.genealogy import Ancestor
from islands.store.images import Picture, write_png
from islands.store.reader import StoreReader

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

_STRIP_PX = 96


class Plot:
    """A figure of matplotlib, which a notebook shows.

    Attributes:
        figure: to change and to save as matplotlib has it.
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def save(self, path: str | Path) -> None:
        """Write it; the suffix says of which kind: pdf, svg or png."""
        with styled():
            self.figure.savefig(path, dpi=300)

    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        with styled():
            self.figure.savefig(png, format="png", dpi=144)
        return png.getvalue()


class Animation:
    """Pictures one after the other, each with a caption, which a notebook plays.

    Attributes:
        pictures: uint8 (size, size, channels) each.
        captions: a line for each.
    """

    def __init__(self, pictures: Sequence[Picture], captions: Sequence[str]) -> None:
        self.pictures, self.captions = pictures, captions

    def save(self, path: str | Path) -> None:
        """Write it; the suffix says of which kind: gif, webp or mp4."""
        save_animation(self.pictures, Path(path), captions=self.captions)

    def _repr_html_(self) -> str:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "animation.webp"
            self.save(file)
            return _image(file.read_bytes(), "webp", self.captions[-1])


class Lineage(list[Ancestor]):
    """Ancestors, the oldest first; a notebook shows them as a strip of pictures."""

    def __init__(self, ancestors: Iterable[Ancestor], reader: StoreReader, run: int) -> None:
        super().__init__(ancestors)
        self._reader, self._run = reader, run

    def _repr_html_(self) -> str | None:
        try:
            pictures = drawn(self._reader, self._run, self)
        except StoreError:  # genomes of ancestors were not kept: the list tells what is known
            return None
        figures = (figure(picture, caption(each, self._reader), _STRIP_PX) for each, picture in pictures)
        return f'<div style="display:flex;flex-wrap:wrap;gap:8px">{"".join(figures)}</div>'


def figure(picture: Picture, text: str, size: int) -> str:
    """Return HTML of a picture, `size` pixels wide, with a caption."""
    png = io.BytesIO()
    write_png(picture, png)
    image = _image(png.getvalue(), "png", text, size)
    caption_ = f'<figcaption style="font-size:11px">{html.escape(text)}</figcaption>'
    return f'<figure style="margin:0;width:{size}px">{image}{caption_}</figure>'


def image_html(image: Image) -> str:
    """Return HTML of an image as it is."""
    png = io.BytesIO()
    image.save(png, "png")
    return _image(png.getvalue(), "png", "contact sheet")


def _image(data: bytes, kind: str, text: str, size: int | None = None) -> str:
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    width = "" if size is None else f' width="{size}" style="image-rendering:pixelated"'
    return f'<img src="{source}" alt="{html.escape(text)}"{width}>'
