"""An archive of pyribs with a cell for each class, which can be saved as a store."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from islands.archipelago.messages import Delta, NetworkFacts, Outbox, StepResult
from islands.asking.archipelago import Pictures, names_of
from islands.asking.keeping import Keeper, named, run_config
from islands.asking.told import Teller, judgement_of
from islands.classifiers.catalogue import OWN_LOOP
from islands.encodings.contract import Operator
from islands.errors import InputError
from islands.evolution import records
from islands.evolution.elites import Elites
from islands.evolution.streams import first_id
from islands.results import Results
from islands.ribs.pyribs import AddStatus, ArchiveBase, ArchiveStats, ArrayStore
from islands.ribs.solutions import CPU, Solutions

_LARGEST = 1 << 32
"""More solutions than a batch has: ids of different batches differ."""

Info = dict[str, npt.NDArray[Any]]


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
        self._solutions = Solutions(self._config, channels)
        teller = Teller(self._config.network.name, self._names, channels, size, CPU)
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
        scores = judgement_of(measures, n, self._names, "first", CPU).probabilities.numpy()
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
