"""Draws the diagrams and the sheet of emitters in `docs/pictures`.

python -m docs.drawings
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from islands.classifiers.registry import load_classifier
from islands.encodings.settings import CppnSettings
from islands.search.choices import EMITTERS
from islands.search.contract import Candidates, Pairs
from islands.search.emitters import build_emitters
from islands.search.population import IslandPopulation

FOLDER = Path(__file__).parent / "pictures"

SEED = 2
"""Of the pictures of `operators`: chosen so that they have something to show."""

_STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1f2933; text-anchor: middle; }
.small { font-size: 12px; fill: #52606d; }
.left { text-anchor: start; }
.box { fill: #e3f4f1; stroke: #00796b; stroke-width: 1.5; }
.other { fill: #fff4e0; stroke: #b26a00; stroke-width: 1.5; }
.arrow { fill: none; stroke: #52606d; stroke-width: 1.5; marker-end: url(#head); }
.mail { fill: none; stroke: #b26a00; stroke-width: 1.5; stroke-dasharray: 5 4; marker-end: url(#head); }
.cut { stroke: #c2185b; stroke-width: 2.5; stroke-dasharray: 8 5; }
.head { fill: #52606d; }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7eb; }
  .small { fill: #9aa5b1; }
  .box { fill: #12352f; stroke: #4db6ac; }
  .other { fill: #3a2a0c; stroke: #ffb74d; }
  .arrow { stroke: #9aa5b1; }
  .mail { stroke: #ffb74d; }
  .cut { stroke: #f48fb1; }
  .head { fill: #9aa5b1; }
}
"""


class Drawing:
    """An SVG that is light or dark as its reader's system is.

    Args:
        title: what it shows, for those who cannot see it.
        width: in pixels.
        height: in pixels.
    """

    def __init__(self, title: str, width: int, height: int) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'role="img" aria-label="{escape(title)}">\n<title>{escape(title)}</title>\n'
            f"<style>{_STYLE}</style>\n"
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>\n'
        ]

    def box(self, x: float, y: float, width: float, lines: Sequence[str], kind: str = "box") -> None:
        """Draw lines of text in a box whose upper left corner is at (x, y)."""
        height = 18 * len(lines) + 16
        self._parts.append(
            f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="7"/>\n'
        )
        for number, line in enumerate(lines):
            self.text(x + width / 2, y + 21 + 18 * number, line)

    def text(self, x: float, y: float, line: str, kind: str = "") -> None:
        """Write a line whose middle, or with the kind `left` its start, is at (x, y)."""
        self._parts.append(f'<text class="{kind}" x="{x}" y="{y}">{escape(line)}</text>\n')

    def path(self, course: str, kind: str = "arrow") -> None:
        """Draw a path, given as SVG has it."""
        self._parts.append(f'<path class="{kind}" d="{course}"/>\n')

    def save(self, file: Path) -> None:
        """Write the file."""
        file.write_text("".join([*self._parts, "</svg>\n"]), encoding="utf-8")


def epoch() -> Drawing:
    """Draw the loop of an epoch."""
    drawing = Drawing("The loop of an epoch: mail in, generations, mail out", 780, 250)
    drawing.box(10, 24, 120, ("open mail", "of epoch e - 2"), "other")
    steps = (("choose", "parents"), ("vary", "genomes"), ("draw", "images"), ("score on", "every class"))
    for number, lines in enumerate(steps):
        drawing.box(170 + 150 * number, 24, 110, lines)
        drawing.path(f"M{130 if not number else 130 + 150 * number} 50H{168 + 150 * number}")
    drawing.box(620, 128, 110, ("winners", "take cells"))
    drawing.path("M675 77V126")
    drawing.path("M620 154H225V79")
    drawing.text(420, 146, "once for each generation of the epoch", "small")
    drawing.box(560, 206, 210, ("send claims and migrants",), "other")
    drawing.path("M675 180V204")
    drawing.text(445, 227, "then the epoch ends:", "small")
    return drawing


def claim() -> Drawing:
    """Draw the way of a claim."""
    drawing = Drawing("The way of a claim from the island that made it to the owner of the class", 780, 290)
    for row, name in enumerate(("island 0", "driver", "island 1")):
        drawing.text(8, 76 + 90 * row, name, "left")
        drawing.path(f"M80 {90 + 90 * row}H770", "arrow")
    for number, name in enumerate(("epoch e", "epoch e + 1", "epoch e + 2")):
        drawing.text(200 + 220 * number, 20, name, "small")
    drawing.box(95, 34, 215, ("a child scores 0.93 for lion,", "the board says 0.80: a claim"))
    drawing.path("M205 86V166", "mail")
    drawing.text(214, 120, "outbox", "small left")
    drawing.box(150, 168, 190, ("keeps claim and board",), "other")
    drawing.path("M340 185C460 185 480 185 560 226", "mail")
    drawing.text(430, 172, "inbox of epoch e + 2", "small")
    drawing.box(500, 228, 262, ("owns lion; its elite has 0.88 now:", "the claim takes the cell"))
    return drawing


def cut() -> Drawing:
    """Draw a commit's consistent cut."""
    drawing = Drawing("A commit's consistent cut: all islands at epoch 3, with the mail under way", 780, 250)
    done = (5, 3, 4)
    for row, epochs in enumerate(done):
        drawing.text(8, 68 + 64 * row, f"island {row}", "left")
        for number in range(epochs):
            drawing.box(90 + 110 * number, 46 + 64 * row, 96, (f"epoch {number + 1}",))
    drawing.box(420, 110, 96, ("epoch 4",), "other")
    drawing.text(620, 131, "epoch 4 of island 1 is under way", "small left")
    drawing.path("M250 80C290 92 380 88 440 107", "mail")
    drawing.path("M400 173C440 152 520 166 548 148S592 112 600 83", "mail")
    drawing.path("M413 20V240", "cut")
    drawing.text(413, 14, "the commit", "small")
    drawing.text(560, 196, "later epochs are not part of it", "small left")
    drawing.text(560, 214, "mail that crosses the line is", "small left")
    return drawing


class Same:
    """`Parents` that always choose the first cell for a parent and the second for a partner."""

    counts = False

    def choose(self, candidates: Candidates, n: int, generator: torch.Generator) -> Pairs:
        """Choose them."""
        del candidates, generator
        return Pairs(torch.zeros(n, dtype=torch.int64), torch.ones(n, dtype=torch.int64))


def operators(size: int = 112) -> Image.Image:
    """Draw a parent, a partner, and for each emitter of CPPNs three children of theirs."""
    encoding = CppnSettings(coordinates="normalized", start="deep").build(channels=3, size=size)
    cells = encoding.random(2, torch.Generator().manual_seed(SEED))
    none = torch.zeros(0, dtype=torch.int64)
    population = IslandPopulation(
        Same(), torch.arange(2), cells, torch.arange(2), torch.ones(2), None, none, none.int()
    )
    network = load_classifier("linear-mnist", device=torch.device("cpu"))
    columns = {"parent, partner": encoding.render(cells)}
    for name in ("mutation", "fine", "crossover", "warp", "transform"):
        ((_, emitter),) = build_emitters([EMITTERS.get(name)(name=name)], encoding, network)
        made = emitter.emit(population, 3, 1, torch.Generator().manual_seed(SEED))
        columns[name] = encoding.render(made.children.genomes)
    sheet = Image.new("RGB", (len(columns) * (size + 8) - 8, 3 * (size + 8) + 14), "white")
    pen = ImageDraw.Draw(sheet)
    for column, (name, images) in enumerate(columns.items()):
        pen.text((column * (size + 8), 3), name, fill="black")
        for row, image in enumerate(images):
            picture = Image.fromarray(image.permute(1, 2, 0).numpy())
            sheet.paste(picture, (column * (size + 8), 20 + row * (size + 8)))
    return sheet


if __name__ == "__main__":
    for draw in (epoch, claim, cut):
        draw().save(FOLDER / f"{draw.__name__}.svg")
    operators().save(FOLDER / "operators.png", optimize=True)
