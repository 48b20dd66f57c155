"""An emitter of pyribs with our encodings and what varies them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from islands.asking.archipelago import Pictures
from islands.asking.keeping import named, run_config
from islands.asking.told import Teller
from islands.classifiers.catalogue import OWN_LOOP
from islands.errors import InputError
from islands.evolution.streams import variation_stream
from islands.ribs.pyribs import ArchiveBase, EmitterBase
from islands.ribs.solutions import CPU, Solutions
from islands.search.contract import Climbers, Mates
from islands.search.emitters import build_emitters, emit


class EncodingEmitter(EmitterBase):
    """An emitter of pyribs that starts and varies genomes as Islands does.

    Parents are drawn by the archive. In an archive of objects (`solution_dim=()`, `solution_dtype=object`)
    every encoding works; in one of floats those whose genomes have a fixed length, `solution_dim` numbers.

    Args:
        archive: of pyribs, or a `ClassArchive`.
        size: height and width of the images in pixels, 1 or more.
        channels: 1 for grey images, 3 for RGB.
        encoding: `direct`, `cppn`, `dct`, or a mapping with a `name` and parameters.
        batch_size: solutions of each `ask`.
        evolve: keys of the section `evolve` that say what makes children, such as `{"preset": "paper"}`.
        seed: from which all random numbers follow but those of the archive.

    Raises:
        InputError: something does not fit.

    Example:
        >>> from ribs.archives import GridArchive
        >>> kinds = {"solution_dtype": object, "objective_dtype": float, "measures_dtype": float}
        >>> archive = GridArchive(solution_dim=(), dims=[10], ranges=[(0, 1)], seed=0, **kinds)
        >>> emitter = EncodingEmitter(archive, size=16, channels=3, encoding="cppn", batch_size=8)
        >>> solutions = emitter.ask()
        >>> solutions.shape, emitter.draw(solutions).shape
        ((8,), (8, 16, 16, 3))
    """

    def __init__(
        self,
        archive: ArchiveBase,
        *,
        size: int,
        channels: int = 3,
        encoding: str | Mapping[str, Any] = "cppn",
        batch_size: int = 64,
        evolve: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        config = run_config(
            "islands.ribs.EncodingEmitter",
            network={"name": f"{OWN_LOOP}pyribs"},
            encoding={**named(encoding), "size": size},
            evolve={**(evolve or {}), "initial": batch_size, "children": batch_size},
            seed=seed,
        )
        objects = archive.dtypes["solution"] == np.dtype(object)
        self._solutions = Solutions(config, channels, objects=objects)
        if self._solutions.must_be_objects and not objects:
            raise InputError(
                f"archive: got solutions of type {archive.dtypes['solution']} for the encoding "
                f"{config.encoding.name}, whose genomes grow or are no floats; expected solution_dim=() and "
                "solution_dtype=object"
            )
        if archive.solution_dim != self._solutions.dim:
            raise InputError(
                f"archive: got solution_dim {archive.solution_dim}; expected {self._solutions.dim}, as the "
                f"encoding {config.encoding.name} has it for this size and these channels"
            )
        super().__init__(
            archive,
            solution_dim=archive.solution_dim,
            bounds=None,
            lower_bounds=None if objects else np.zeros(archive.solution_dim),
            upper_bounds=None if objects else np.ones(archive.solution_dim),
        )
        teller = Teller(config.network.name, ("any",), channels, size, CPU)
        self._emitters = build_emitters(config.evolve.emitters, self._solutions.encoding, teller)
        self._batch_size, self._seed, self._asked = batch_size, seed, 0

    @property
    def batch_size(self) -> int:
        """Solutions of each `ask`."""
        return self._batch_size

    def ask(self) -> npt.NDArray[Any]:
        """Return random genomes while the archive is empty, then children of its elites.

        Returns:
            (batch_size,) objects, or (batch_size, dim) floats.
        """
        encoding, generation = self._solutions.encoding, self._asked
        stream = variation_stream(CPU, self._seed, 0, 0, generation)
        with torch.inference_mode():
            if self.archive.empty:
                genomes = encoding.random(self._batch_size, stream)
            else:
                population = _Sampled(self.archive, self._solutions)
                scored = generation * self._batch_size
                made = emit(self._emitters, population, self._batch_size, scored, max(1, generation), stream)
                genomes = made.children.genomes
            solutions = self._solutions.of(genomes)
        self._asked += 1
        return solutions.astype(self.archive.dtypes["solution"])

    def draw(self, solutions: npt.ArrayLike) -> Pictures:
        """Draw solutions: uint8 (n, size, size, channels).

        Raises:
            InputError: they are none of this encoding.
        """
        return self._solutions.draw(solutions)


@dataclass
class _Sampled:
    """The elites of an archive as our emitters see them; implements `islands.search.contract.Population`."""

    archive: ArchiveBase
    solutions: Solutions

    def mates(self, n: int, generator: torch.Generator) -> Mates:
        """Let the archive draw parents and partners."""
        del generator
        genomes = self.solutions.genomes(self.archive.sample_elites(2 * n)["solution"])
        unknown = torch.full((n,), -1)
        return Mates(genomes.take(torch.arange(n)), genomes.take(torch.arange(n, 2 * n)), unknown, unknown)

    def weak(self, n: int, generator: torch.Generator) -> Climbers:
        """Refuse: without a network there are no gradients."""
        raise NotImplementedError(f"got {n} and {generator}; gradients need a network")
