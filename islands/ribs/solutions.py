"""Solutions of pyribs, and the genomes that they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from islands.asking.archipelago import Pictures, as_pictures
from islands.config import RunConfig
from islands.encodings.contract import Encoding, Tunable
from islands.encodings.factory import build_encoding
from islands.encodings.genomes import Genomes
from islands.errors import InputError
from islands.evolution.elites import stack_genomes, trim_genomes

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Genome:
    """A genome as one solution in an archive of objects.

    Attributes:
        arrays: named arrays (width,), as stores have them in rows.
    """

    arrays: Mapping[str, npt.NDArray[np.generic]] = field(repr=False)


class Solutions:
    """Translates between solutions of pyribs and genomes of an encoding, and draws them.

    Args:
        config: of which the encoding and its size count.
        channels: 1 for grey images, 3 for RGB.
        objects: whether solutions are objects where they could be floats.
    """

    def __init__(self, config: RunConfig, channels: int, *, objects: bool = False) -> None:
        size = config.encoding.size
        assert size is not None
        self.encoding: Encoding = build_encoding(config.encoding, channels, size)
        self._padded = config.encoding.padded
        self.must_be_objects = self._padded or not isinstance(self.encoding, Tunable)
        """Whether genomes are no floats of one number."""
        self.objects = objects or self.must_be_objects
        self._any = self.encoding.random(1, torch.Generator().manual_seed(0))

    @property
    def dim(self) -> int | tuple[()]:
        """What pyribs calls `solution_dim`."""
        return () if self.objects else self._tunable.genes(self._any).shape[1]

    @property
    def _tunable(self) -> Tunable:
        assert isinstance(self.encoding, Tunable)
        return self.encoding

    def of(self, genomes: Genomes) -> npt.NDArray[Any]:
        """Return solutions: objects (n,), or float32 (n, dim)."""
        if not self.objects:
            genes: npt.NDArray[np.float32] = self._tunable.genes(genomes).numpy()
            return genes
        arrays = self.encoding.to_arrays(genomes)
        solutions = np.empty(len(genomes), object)
        for row in range(len(genomes)):
            own = {name: array[row : row + 1] for name, array in arrays.items()}
            # Copies: a genome must not keep those of all its brothers.
            trimmed = trim_genomes(own) if self._padded else own
            solutions[row] = Genome({name: array[0].copy() for name, array in trimmed.items()})
        return solutions

    def checked(self, solutions: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return solutions as an array, as `of` does.

        Raises:
            InputError: they are none of the encoding.
        """
        if self.objects:
            found = np.asarray(solutions, object)
            if found.ndim != 1 or not all(isinstance(each, Genome) for each in found):
                raise InputError("solution: got what is no Genome; expected what EncodingEmitter.ask gives")
            return found
        found = np.asarray(solutions, np.float32)
        if found.ndim != 2 or found.shape[1] != self.dim or not np.isfinite(found).all():
            raise InputError(f"solution: got shape {found.shape}; expected finite floats (n, {self.dim})")
        return found

    def genomes(self, solutions: npt.NDArray[Any]) -> Genomes:
        """Invert `of`; genes beyond [0, 1] are taken for the nearest."""
        if not self.objects:
            return self._tunable.with_genes(self._any, torch.tensor(solutions).clamp(0, 1))
        if not len(solutions):
            return self._any.take(torch.empty(0, dtype=torch.int64))
        rows = [{name: array[None] for name, array in each.arrays.items()} for each in solutions]
        return self.encoding.from_arrays(stack_genomes(rows), CPU)

    def draw(self, solutions: npt.ArrayLike) -> Pictures:
        """Return uint8 (n, size, size, channels)."""
        with torch.no_grad():
            return as_pictures(self.encoding.render(self.genomes(self.checked(solutions))))
