"""The report: one HTML file with everything in it, charts by Vega-Lite."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from islands.errors import InputError
from islands.evolution.elites import Arrays
from islands.reports.data import collect
from islands.store.images import Picture, Studio, as_image
from islands.store.reader import StoreReader

_SCRIPTS = (
    *("elements", "charts", "painting", "closer", "network", "descent", "saving", "elite"),
    *("mosaic", "wall", "takeovers", "exchange", "address", "page"),
)
_STYLES = ("page", "sections")
_FEW = 1200
_LARGE_SIDE, _SMALL_SIDE, _STRIP_SIDE = 256, 128, 112
_LOSSLESS_SIDE = 64
_BUDGET = 18_000_000
"""Bytes of all elites' pictures; a third more as text."""
_QUALITIES = (80, 60, 40, 20)
_SHRINKS = 0.7
"""Of a picture's bytes, what at least is left at the next quality: those that will not do are not tried."""


def write_report(reader: StoreReader, path: Path) -> int:
    """Write the report of a store, and return its size in bytes.

    Raises:
        StoreError: the store cannot be read, or has no checkpoint yet.
        InputError: `path` is a folder.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file for the report, such as {path / 'report.html'}")
    page = render(collect(reader, Embedded))
    return path.write_text(page, encoding="utf-8")


def render(data: dict[str, Any] | None) -> str:
    """Return the page, with its data inside; None: it asks its server for them."""
    title = "Islands" if data is None else f"{data['finding']} · {data['network']}"
    return fill("page", title, scripts=_SCRIPTS, styles=_STYLES, data=data, libraries=libraries())


def fill(
    template: str,
    title: str,
    *,
    scripts: Sequence[str],
    styles: Sequence[str],
    data: Any = None,
    libraries: Sequence[str] = (),
    packages: Sequence[str] = (),
    **values: Any,
) -> str:
    """Return a page: a template that extends `base.html`, with all that it needs inside.

    Args:
        template: its name, without `.html`.
        title: of the page.
        scripts: names without `.js`, in their order.
        styles: names without `.css`, likewise.
        data: for the scripts; None: they have none, or ask for it.
        libraries: scripts that come before.
        packages: whose folders `web` are looked through before the report's own.
        values: what the template shows.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loader = ChoiceLoader([PackageLoader(package, "web") for package in (*packages, "islands.reports")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)

    def read(name: str) -> str:
        return loader.get_source(environment, name)[0]

    return environment.get_template(f"{template}.html").render(
        title=title,
        style="".join(read(f"{name}.css") for name in styles),
        scripts=[read(f"{name}.js") for name in scripts],
        data=as_script(data),
        libraries=libraries,
        **values,
    )


def as_script(data: Any) -> str:
    """Return JSON that can stand inside a script element: nothing in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@cache
def libraries() -> list[str]:
    """Return the scripts that charts need, in order."""
    vendor = files("islands.reports").joinpath("web", "vendor")
    return [
        vendor.joinpath(f"{name}.min.js").read_text("utf-8") for name in ("vega", "vega-lite", "vega-embed")
    ]


class Embedded:
    """Pictures inside the page: as scored where they are small, else as WebP, smaller the more there are."""

    def __init__(self, reader: StoreReader, count: int | None = None) -> None:
        """Of `count` pictures on the page; None: one for each class of each run."""
        self._studios = [Studio(reader, run) for run in range(reader.runs)]
        count = count or reader.runs * len(reader.classes)
        self._side = _LARGE_SIDE if count <= _FEW else _SMALL_SIDE
        self._most = _BUDGET // count

    def elites(self, genomes: Iterable[tuple[int, int]]) -> list[str]:
        """Return data URIs, made side by side: Pillow and torch let other threads run meanwhile."""
        threads = torch.get_num_threads()
        # To share out one picture among threads of torch takes longer than to draw it.
        alone: dict[str, Any] = {"initializer": torch.set_num_threads, "initargs": (1,)}
        try:
            with ThreadPoolExecutor(os.cpu_count(), **alone) as pool:
                return list(pool.map(lambda genome: self._elite(*genome), genomes))
        finally:
            torch.set_num_threads(threads)

    def _elite(self, run: int, id_: int) -> str:
        picture = self._studios[run].draw(id_)
        assert picture is not None, "every elite has a genome"
        return data_uri(picture, self._side, self._most)

    def ancestor(self, run: int, id_: int) -> str | None:
        """Return a data URI of a small picture; None where the genome was not kept."""
        picture = self._studios[run].draw(id_)
        return None if picture is None else data_uri(picture, _STRIP_SIDE, self._most)

    def genome(self, run: int, id_: int) -> Arrays | None:
        """Return the arrays of a genome; None where it was not kept."""
        return self._studios[run].genome(id_)


def data_uri(picture: Picture, side: int, most: int) -> str:
    """Return a picture as a data URI: WebP of `side` pixels and, if it can be, `most` bytes at most.

    What is small as it was scored is kept byte for byte.
    """
    image = as_image(picture).convert("RGB")
    if image.width <= min(side, _LOSSLESS_SIDE):
        content = _webp(image, lossless=True)
    else:
        if image.width > side:
            image = image.resize((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        expected = 0.0
        for quality in _QUALITIES:
            if expected <= most or quality == _QUALITIES[-1]:
                content = _webp(image, quality=quality, method=2)
                if len(content) <= most:
                    break
                expected = len(content)
            expected *= _SHRINKS
    return "data:image/webp;base64," + base64.b64encode(content).decode()


def _webp(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "WEBP", **options)
    return stream.getvalue()
