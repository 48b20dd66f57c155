"""Code of a user's, as tests write it into a folder."""

from __future__ import annotations

from pathlib import Path

ENCODING = '''
import helper
import islands
from islands.encodings.direct import DirectEncoding
from islands.encodings.settings import DirectSettings


class Mosaic(islands.EncodingSettings):
    """Tiles of one byte each."""

    tiles: int = 4

    def build(self, channels, size):
        inner = DirectEncoding(DirectSettings(mutation_rate=helper.RATE), channels, self.tiles)
        return MosaicEncoding(self, inner, size)


class MosaicEncoding:
    def __init__(self, settings, inner, size):
        self.name, self.channels, self.size = settings.name, inner.channels, size
        self._inner = inner

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def render(self, genomes, size=None):
        return self._inner.render(genomes, self.size if size is None else size)
'''

NETWORK = """
import torch
from torch import nn


def build(seed=0):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 6))
    network.classes, network.channels, network.input_size = "abcdef", 1, 16
    return network


def other():
    return build(1)
"""


def write(folder: Path) -> Path:
    """Write `mine.py` with the encoding `Mosaic`, `helper.py` that it imports, and `net.py` with `build`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.py").write_text(ENCODING)
    (folder / "helper.py").write_text("RATE = 0.3\n")
    (folder / "net.py").write_text(NETWORK)
    return folder
