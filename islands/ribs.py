"""Islands and pyribs (https://pyribs.org), in both directions; `pip install 'islands[ribs]'`.

`ClassArchive` is an archive with a cell for each class that a scheduler of pyribs and its emitters fill. Its
measures are the scores of all classes, and a solution takes every cell that it is best for. It can be saved
as a store. `EncodingEmitter` is an emitter of pyribs with our encodings: CPPNs in any archive of pyribs.

A genome of fixed length (`direct`, `dct`) is a solution of floats, its genes in [0, 1]. CPPNs grow: there a
solution is a `Genome`, in an archive of objects (`solution_dim=()`, `solution_dtype=object`).

Example:
    >>> from ribs.emitters import GaussianEmitter
    >>> from ribs.schedulers import Scheduler
    >>> import numpy as np
    >>> archive = ClassArchive(["dark", "bright"], size=8, channels=1, seed=0)
    >>> emitter = GaussianEmitter(archive, sigma=0.1, x0=np.full(64, 0.5), bounds=[(0, 1)] * 64, seed=0)
    >>> scheduler = Scheduler(archive, [emitter])
    >>> for _ in range(20):
    ...     bright = archive.draw(scheduler.ask()).mean((1, 2, 3)) / 255
    ...     scores = np.stack([1 - bright, bright], 1)
    ...     scheduler.tell(scores.max(1), scores)
    >>> archive.save("runs/ribs").image("bright").shape
    (8, 8, 1)
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from islands.archipelago.messages import Delta, NetworkFacts, Outbox, StepResult
from islands.asking.archipelago import Pictures, as_pictures, names_of
from islands.asking.keeping import Keeper, named, run_config
from islands.asking.told import Teller, judgement_of
from islands.classifiers.catalogue import OWN_LOOP
from islands.config import RunConfig
from islands.encodings.contract import Encoding, Operator, Tunable
from islands.encodings.factory import build_encoding
from islands.encodings.genomes import Genomes
from islands.errors import InputError
from islands.evolution import records
from islands.evolution.elites import Elites, stack_genomes, trim_genomes
from islands.evolution.streams import first_id, variation_stream
from islands.results import Results
from islands.search.contract import Climbers, Mates
from islands.search.emitters import build_emitters, emit

try:
    from ribs.archives import AddStatus, ArchiveBase, ArchiveStats, ArrayStore
    from ribs.emitters import EmitterBase
except ImportError as error:
    raise InputError(f"pyribs is not installed ({error}); pip install 'islands[ribs]'") from error

__all__ = ["ClassArchive", "EncodingEmitter", "Genome"]

_CPU = torch.device("cpu")

_LARGEST = 1 << 32
"""More solutions than a batch has: ids of different batches differ."""


Info = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Genome:
    """A genome as one solution in an archive of objects.

    Attributes:
        arrays: named arrays (width,), as stores have them in rows.
    """

    arrays: Mapping[str, npt.NDArray[np.generic]] = field(repr=False)


class _Solutions:
    """Translates between solutions of pyribs and genomes of an encoding, and draws them."""

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
        return self.encoding.from_arrays(stack_genomes(rows), _CPU)

    def draw(self, solutions: npt.ArrayLike) -> Pictures:
        """Return uint8 (n, size, size, channels)."""
        with torch.no_grad():
            return as_pictures(self.encoding.render(self.genomes(self.checked(solutions))))


class ClassArchive(ArchiveBase):
    """An archive with one cell for each of K classes, for a scheduler of pyribs.

    A cell holds the solution with the highest score for its class; of equals the first stays. The objective
    of an elite is that score, and its measures (K,) are all of them. The objective that `add` is given serves
    emitters that rank by it, and decides nothing here.

    Args:
        classes: K names, in the order of the measures.
        size: height and width of the images in pixels, 1 or more.
        channels: 1 for grey images, 3 for RGB.
        encoding: what solutions stand for; see `islands.ribs`.
        seed: of `sample_elites`.
        name: what stores call whoever scores.

    Raises:
        InputError: something does not fit.
    """

    def __init__(
        self,
        classes: Sequence[str],
        *,
        size: int,
        channels: int = 3,
        encoding: str | Mapping[str, Any] = "direct",
        seed: int = 0,
        name: str = "pyribs",
    ) -> None:
        self._config = run_config(
            "islands.ribs.ClassArchive",
            network={"name": f"{OWN_LOOP}{name}"},
            encoding={**named(encoding), "size": size},
            # A batch is a generation, in which scores decide.
            evolve={"preset": "paper", "generations_per_epoch": 1, "generations": 1},
            checkpoint={"ancestors": "ids"},
            seed=seed,
        )
        self._names = names_of(classes)
        self._solutions = _Solutions(self._config, channels)
        teller = Teller(self._config.network.name, self._names, channels, size, _CPU)
        self._facts = NetworkFacts.of(teller, size)
        super().__init__(solution_dim=self._solutions.dim, objective_dim=(), measure_dim=len(self._names))
        self._store = ArrayStore(
            field_desc={
                "solution": (self._solutions.dim, object if self._solutions.objects else np.float32),
                "objective": ((), np.float32),
                "measures": (len(self._names), np.float32),
            },
            capacity=len(self._names),
        )
        self._dice = np.random.default_rng(seed)
        self._standing: npt.NDArray[np.float32]
        """(K,) the score that a solution must exceed; -inf in empty cells."""

        self.clear()

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names."""
        return self._names

    @property
    def field_list(self) -> list[str]:
        """See `ArchiveBase.field_list`."""
        return list(self._store.field_list_with_index)

    @property
    def dtypes(self) -> dict[str, np.dtype[Any]]:
        """See `ArchiveBase.dtypes`."""
        return {name: np.dtype(dtype) for name, dtype in self._store.dtypes_with_index.items()}

    @property
    def stats(self) -> ArchiveStats:
        """See `ArchiveBase.stats`; objectives are the scores of cells for their classes."""
        found = self._store.data("objective")
        total, cells = found.sum(), len(self._names)
        return ArchiveStats(
            num_elites=len(found),
            coverage=len(found) / cells,
            qd_score=total,
            norm_qd_score=total / cells,
            obj_max=found.max() if len(found) else None,
            obj_mean=found.mean() if len(found) else None,
        )

    @property
    def empty(self) -> bool:
        """Whether nothing was added; after the first batch no cell is empty."""
        return len(self._store) == 0

    def __len__(self) -> int:
        return len(self._store)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._store)

    def add(
        self,
        solution: npt.ArrayLike,
        objective: npt.ArrayLike | None,
        measures: npt.ArrayLike,
        **fields: npt.ArrayLike,
    ) -> Info:
        """Let solutions take every cell that they are better for; a call is a generation.

        Args:
            solution: (n, dim) floats, or (n,) objects, as `islands.ribs` says.
            objective: not used.
            measures: float (n, K) from 0 to 1, scores that sum to 1 at most.
            fields: none.

        Returns:
            `status` (n,) int32, the best of what pyribs' archives say for any cell (see `AddStatus`), and
            `value` (n,) float32, the largest gain over a cell, which counts as 0 while it is empty.

        Raises:
            InputError: shapes do not fit, or the measures are no such scores. Nothing has changed then.
        """
        del objective
        if fields:
            raise InputError(f"fields: got {', '.join(fields)}; expected none beside solution and measures")
        solutions = self._solutions.checked(solution)
        if (n := len(solutions)) == 0:
            return {"status": np.empty(0, np.int32), "value": np.empty(0, np.float32)}
        scores = judgement_of(measures, n, self._names, "first", _CPU).probabilities.numpy()
        empty, standing = ~self._store.occupied, self._standing
        better = scores > standing
        status = np.where(better.any(1), AddStatus.IMPROVE_EXISTING, AddStatus.NOT_ADDED).astype(np.int32)
        status[(better & empty).any(1)] = AddStatus.NEW
        value = (scores - np.where(empty, 0, standing)).max(1)
        cells = np.flatnonzero(better.any(0))
        # The first of equals, as in our own archives.
        rows = scores.argmax(0)[cells]
        best = {"objective": scores[rows, cells], "measures": scores[rows]}
        self._store.add(cells, {"solution": solutions[rows], **best})
        self._standing = np.where(better.any(0), scores.max(0), standing)
        self._record(cells, rows, solutions[rows], scores)
        return {"status": status, "value": value}

    def add_single(
        self,
        solution: npt.ArrayLike,
        objective: npt.ArrayLike | None,
        measures: npt.ArrayLike,
        **fields: npt.ArrayLike,
    ) -> dict[str, Any]:
        """Do the same with one solution; each is a generation, so that batches make smaller stores."""
        batch = np.empty(1, object)
        batch[0] = solution
        solutions = batch if self._solutions.objects else np.asarray(solution)[None]
        info = self.add(solutions, np.asarray(objective)[None], np.asarray(measures)[None], **fields)
        return {name: values[0] for name, values in info.items()}

    def clear(self) -> None:
        """Forget all solutions."""
        self._store.clear()
        self._standing = np.full(len(self._names), -np.inf, np.float32)
        self._keeper: Keeper | None = None

    def data(
        self,
        fields: Collection[str] | str | None = None,
        return_type: Literal["dict", "tuple", "pandas"] | None = None,
    ) -> Any:
        """See `ArchiveBase.data`; `index` is the class."""
        return self._store.data(fields, return_type)

    def sample_elites(self, n: int | np.integer[Any], replace: bool = True) -> Info:
        """Draw `n` cells, each as likely as another.

        Raises:
            IndexError: nothing was added yet.
            ValueError: without `replace`, `n` is more than there are.
        """
        if self.empty:
            raise IndexError("the archive is empty: add solutions first")
        chosen = self._dice.choice(len(self._store), size=n, replace=replace)
        found: Any = self._store.retrieve(self._store.occupied_list[chosen])
        elites: Info = found[1]
        return elites

    def draw(self, solutions: npt.ArrayLike) -> Pictures:
        """Draw solutions: uint8 (n, size, size, channels).

        Raises:
            InputError: they are none of this archive.
        """
        return self._solutions.draw(solutions)

    def save(self, store: str | os.PathLike[str]) -> Results:
        """Write a checkpoint, and open the store for reading; see `Archipelago.save`.

        Raises:
            InputError: nothing was added yet, or the checkpoints before went elsewhere.
            StoreError: there is something else, or it cannot be written.
        """
        if self._keeper is None:
            raise InputError("save: got an empty archive; expected solutions: add some first")
        return self._keeper.save(store)

    def _record(
        self,
        cells: npt.NDArray[np.intp],
        rows: npt.NDArray[np.intp],
        winners: npt.NDArray[Any],
        scores: npt.NDArray[np.float32],
    ) -> None:
        """Note a batch as an epoch of the one island that this archive is in a store."""
        n, epoch = len(scores), 0 if self._keeper is None else self._keeper.mirror.epoch + 1
        count = np.full(len(cells), epoch, np.int32)
        elites = Elites(
            cells=cells.astype(np.int32),
            fitness=scores[rows, cells],
            probabilities=scores[rows],
            ids=first_id(epoch, 0, 1, _LARGEST) + rows.astype(np.int64),
            parents=np.full((len(cells), 2), -1),
            operators=np.full(len(cells), Operator.FOREIGN, np.uint8),
            islands=np.zeros(len(cells), np.int32),
            epochs=count,
            generations=count,
            genomes=self._solutions.encoding.to_arrays(self._solutions.genomes(winners)),
        )
        history: records.Rows = {
            "epoch": elites.epochs,
            "class": elites.classes,
            "id": elites.ids,
            "parents": elites.parents,
            "operator": elites.operators,
            "island": elites.islands,
            "generation": elites.generations,
            "claimed": np.zeros(len(cells), np.bool_),
            "confidence": elites.confidence,
        }
        if self._keeper is None:
            evolve = self._config.evolve.model_copy(update={"initial": n, "children": n})
            self._keeper = Keeper(self._config.model_copy(update={"evolve": evolve}), self._facts)
        self._keeper.record(
            [
                StepResult(
                    Delta(
                        epoch=epoch,
                        elites=elites,
                        held=elites.take(np.empty(0, np.intp)) if epoch == 0 else None,
                        history=history,
                        migrations=records.empty(records.MIGRATIONS),
                        confidence=self._standing,
                        evaluations=n,
                    ),
                    Outbox(board=self._standing, claims=None, migrants=None),
                )
            ]
        )


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
        self._solutions = _Solutions(config, channels, objects=objects)
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
        teller = Teller(config.network.name, ("any",), channels, size, _CPU)
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
        stream = variation_stream(_CPU, self._seed, 0, 0, generation)
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
    solutions: _Solutions

    def mates(self, n: int, generator: torch.Generator) -> Mates:
        """Let the archive draw parents and partners."""
        del generator
        genomes = self.solutions.genomes(self.archive.sample_elites(2 * n)["solution"])
        unknown = torch.full((n,), -1)
        return Mates(genomes.take(torch.arange(n)), genomes.take(torch.arange(n, 2 * n)), unknown, unknown)

    def weak(self, n: int, generator: torch.Generator) -> Climbers:
        """Refuse: without a network there are no gradients."""
        raise NotImplementedError(f"got {n} and {generator}; gradients need a network")
