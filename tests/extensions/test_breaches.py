"""Code of others that breaks its contract ends the run in a line, and writes no wrong result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import islands
from islands.errors import ConfigError

CODE = """
import torch
import islands
from islands.encodings.direct import DirectEncoding
from islands.encodings.settings import DirectSettings
from islands.encodings.contract import Children
from islands.search.contract import Offspring, Pairs


class Broken(islands.EncodingSettings):
    breach: str

    def build(self, channels, size):
        return Encoding(self, channels, size)


class Encoding(DirectEncoding):
    def __init__(self, settings, channels, size):
        super().__init__(DirectSettings(), channels, size)
        self.name, self.breach = settings.name, settings.breach

    def random(self, n, generator):
        return super().random(n + (self.breach == "random"), generator)

    def vary(self, parents, partners, generation, generator):
        children = super().vary(parents, partners, generation, generator)
        if self.breach != "vary":
            return children
        few = torch.arange(len(children.operators) - 1)
        return Children(children.genomes.take(few), children.operators[few])

    def render(self, genomes, size=None):
        images = super().render(genomes, size)
        if self.breach == "type":
            return images.float()
        return images[..., :-1] if self.breach == "shape" else images


class Many(islands.EmitterSettings):
    more: int

    def build(self, encoding, classifier):
        return Emitter(self, encoding)


class Emitter:
    def __init__(self, settings, encoding):
        self.more, self.encoding = settings.more, encoding

    def emit(self, population, visits, generation, generator):
        mates = population.mates(visits + self.more, generator)
        children = self.encoding.vary(mates.parents, mates.partners, generation, generator)
        return Offspring(children, torch.stack([mates.ids, mates.partner_ids], 1))


class Few(islands.ParentsSettings):
    def build(self):
        return Chooser()


class Chooser:
    counts = False

    def choose(self, candidates, n, generator):
        rows = torch.zeros(n - 1, dtype=torch.int64)
        return Pairs(rows, rows)


class Itself(islands.TopologySettings):
    def edges(self, count, stream):
        return [(0, count)]


class Twice(islands.SelectionSettings):
    def choose(self, elites, size, stream):
        return [0] * size


class Beyond(islands.ReplacementSettings):
    def keep(self, migrants, held, capacity, stream):
        return [len(migrants)]


class Pair(islands.MeasureSettings):
    def measure(self, images, genomes, encoding):
        return images[:2, 0, 0, 0].double()


class Closed(islands.LoggerSettings):
    def open(self, config):
        raise OSError("no way in")
"""


def evolve(**sections: Any) -> None:
    budget = {"preset": "paper", "initial": 8, "children": 8, "generations_per_epoch": 2}
    evolve = {**budget, **sections.pop("evolve", {})}
    sections.setdefault("encoding", "direct")
    islands.evolve("linear-mnist", generations=8, evolve=evolve, **sections)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"encoding": {"name": "Broken", "breach": "random"}}, "got 3 genomes of 2 asked for"),
        ({"encoding": {"name": "Broken", "breach": "type"}}, r"images torch.float32 \(2, 1, 28, 28\)"),
        ({"encoding": {"name": "Broken", "breach": "shape"}}, r"images torch.uint8 \(2, 1, 28, 27\)"),
        ({"encoding": {"name": "Broken", "breach": "vary"}}, "vary gave 7 children for 8 parents"),
        ({"evolve": {"emitters": [{"name": "mutation"}, {"name": "Many", "more": 1}]}}, "expected 4 to 4"),
        ({"evolve": {"emitters": [{"name": "mutation"}, {"name": "Many", "more": -1}]}}, "expected 4 to 4"),
        ({"evolve": {"parents": "Few"}}, r"got rows of shape \(7,\).*expected 8 parents"),
        ({"islands": {"count": 2, "topology": "Itself"}}, r"got the edge \(0, 2\) for 2 islands"),
        ({"islands": {"count": 2, "migration": {"selection": "Twice"}}}, r"got the rows \[0, 0"),
        ({"islands": {"count": 2, "migration": {"replacement": "Beyond"}}}, r"got the rows \["),
        ({"archive": {"measures": ["Pair"]}}, r"Pair: got shape \(2,\); expected .* each of 8 images"),
        ({"loggers": {"others": [{"name": "Closed"}]}}, "could not be opened: OSError: no way in"),
    ],
)
def test_it_is_told(
    sections: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        evolve(**_named(sections))


def _named(value: Any) -> Any:
    """Return settings with a reference to `broken.py` in place of each name of a class there."""
    if isinstance(value, dict):
        return {key: _named(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_named(each) for each in value]
    return f"file:broken.py:{value}" if isinstance(value, str) and value[:1].isupper() else value


def test_code_that_raises_is_told_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raising.py").write_text(
        "import islands\nclass Raising(islands.EncodingSettings):\n    def build(self, channels, size):\n"
        "        raise KeyError('colour')\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"building it failed with KeyError: 'colour' .*raising.py, line 4"):
        evolve(encoding={"name": "file:raising.py:Raising"})
