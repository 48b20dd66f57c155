"""What files may name and set. Imports no torch, so that they are read quickly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

import islands


class Gratings(islands.EncodingSettings):
    """A sum of sine waves in the plane, each with a colour."""

    made_by = "islands_gratings.encoding:GratingsEncoding"
    waves: int = Field(4, ge=1, le=64)
    rate: float = Field(0.2, gt=0, le=1)


class Swap(islands.EmitterSettings):
    """Each gene comes from one of two parents."""

    made_by = "islands_gratings.search:SwapEmitter"


class Rarest(islands.ParentsSettings):
    """Genomes that hold the fewest cells first."""

    made_by = "islands_gratings.search:RarestFirst"


class Pairs(islands.TopologySettings):
    """Islands 2k and 2k + 1 send to each other, and to nobody else."""

    def edges(self, count: int, stream: np.random.Generator) -> list[tuple[int, int]]:
        del stream
        return [(island ^ 1, island) for island in range(count) if island ^ 1 < count]


class Weakest(islands.SelectionSettings):
    """Those of lowest fitness."""

    def choose(self, elites: Any, size: int, stream: np.random.Generator) -> Sequence[int]:
        del stream
        rows: list[int] = elites.fitness.argsort(kind="stable")[:size].tolist()
        return rows


class First(islands.ReplacementSettings):
    """Those that came first."""

    def keep(self, migrants: Any, held: int, capacity: int, stream: np.random.Generator) -> Sequence[int]:
        del held, stream
        return range(min(capacity, len(migrants)))


class Contrast(islands.MeasureSettings):
    """How far the brightest byte is above the darkest, 0 to 1."""

    def measure(self, images: Any, genomes: Any, encoding: Any) -> Any:
        del genomes, encoding
        levels = images.flatten(1).double()
        return (levels.amax(1) - levels.amin(1)) / 255


class Tally(islands.LoggerSettings):
    """A line of JSON for each epoch."""

    file: str

    @contextmanager
    def open(self, config: Any) -> Iterator[Any]:
        with Path(self.file).open("a", encoding="utf-8") as out:

            def tell(progress: islands.Progress) -> None:
                print(json.dumps({"store": config.store, "epoch": progress.epoch}), file=out, flush=True)

            yield tell
