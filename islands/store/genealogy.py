"""Who descends from whom: chains, goal switches and the tree of a run. Imports neither torch nor ray."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from islands.errors import StoreError
from islands.evolution.ancestors import descent
from islands.store.reader import StoreReader

if TYPE_CHECKING:
    import networkx


class Held(NamedTuple):
    """A cell that a genome took."""

    class_: int
    confidence: float


@dataclass(frozen=True)
class Ancestor:
    """A genome that took at least one cell.

    Attributes:
        id: of the genome.
        parents: ids of parent and partner; -1 where there is none.
        operator: how it was made, see `StoreReader.operators`.
        island: that made it.
        generation: in which it was made.
        held: the cells that it took, the most confident first.
    """

    id: int
    parents: tuple[int, int]
    operator: str
    island: int
    generation: int
    held: tuple[Held, ...]


@dataclass(frozen=True)
class GoalSwitches:
    """How often classes were taken by children of other classes' elites, class by class.

    The follow-up paper (Innovation Engines, 2016) calls it a goal switch when the new champion of a class is
    the child of another class's champion, and reports (recalled, not checked) that 17.9 % of new champions
    were.

    Attributes:
        takeovers: (K,) int64, how often a cell was taken.
        switches: (K,) int64, how often by a child of which no parent held that cell just before.
    """

    takeovers: npt.NDArray[np.int64]
    switches: npt.NDArray[np.int64]

    @property
    def share(self) -> float:
        """Of all takeovers, 0 to 1."""
        return float(self.switches.sum() / max(1, self.takeovers.sum()))


def goal_switches(history: Mapping[str, npt.NDArray[Any]], class_count: int) -> GoalSwitches:
    """Count takeovers and goal switches in a run's history.

    Columns `class`, `id` and `parents` are read, and `cell` where a class has several.
    """
    rows, _ = _switches(history)
    class_ = history["class"].astype(np.int64)
    return GoalSwitches(
        takeovers=np.bincount(class_, minlength=class_count),
        switches=np.bincount(class_[rows], minlength=class_count),
    )


def _switches(
    history: Mapping[str, npt.NDArray[Any]],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Return the rows of a run's history that are goal switches, and the ids of their parents, (n, 2)."""
    class_ = history["class"].astype(np.int64)
    within = history["cell"].astype(np.int64) if "cell" in history else np.zeros_like(class_)
    cell = class_ * (within.max(initial=0) + 1) + within
    # Stable: within a cell, takeovers stay in the order of time.
    order = np.argsort(cell, kind="stable")
    ids, parents = history["id"][order], history["parents"][order]
    # The first elite of a cell follows nobody; what `roll` puts there is of another.
    follows = np.diff(cell[order], prepend=-1) == 0
    incumbents = np.roll(ids, 1)
    own = (parents == incumbents[:, None]).any(1)
    # Random genomes have no parents who could have held another class.
    switched = follows & ~own & (parents >= 0).any(1)
    return order[switched], parents[switched].astype(np.int64)


class Genealogy:
    """The descent of one run, out of its history: every genome that ever took a cell is in it.

    Raises:
        StoreError: there is no checkpoint yet, or no such run.
    """

    def __init__(self, reader: StoreReader, run: int) -> None:
        self.classes = reader.classes
        self._operators = reader.operators
        self._path = reader.path
        self._run = run
        history = reader.history(run)
        elites = reader.cell_columns(
            run, "class", "id", "parents", "operator", "island", "generation", "confidence"
        )
        # Claims in transit hold their cells in the settled view, and have no row of history yet.
        filled = np.greater_equal(elites["id"], 0)
        self._elite_ids = elites["id"].astype(np.int64)[reader.best_cells(run)]
        self._rows: dict[str, npt.NDArray[Any]] = {
            name: np.concatenate([history[name], column[filled]]) for name, column in elites.items()
        }
        self._taken = len(history["id"])
        self._ids, self._first = np.unique(self._rows["id"], return_index=True)
        self._parents = self._rows["parents"][self._first]

    def chain(self, class_: int) -> list[Ancestor]:
        """Return the elite of a class and its parents' parents, the oldest first and the elite last.

        Of two parents the first is followed.

        Raises:
            StoreError: the class has no elite.
        """
        return [self.ancestor(genome) for genome in self.chain_ids(class_)]

    def chain_to(self, genome: int) -> list[Ancestor]:
        """Return the same of any elite, by its id."""
        return [self.ancestor(each) for each in self._chain(genome)]

    def chain_ids(self, class_: int) -> list[int]:
        """Return the ids of `chain`."""
        genome = int(self._elite_ids[class_])
        if genome < 0:
            raise StoreError(
                f"run {self._run} of {self._path} has no elite of class {class_} ({self.classes[class_]}) yet"
            )
        return self._chain(genome)

    def _chain(self, genome: int) -> list[int]:
        found = []
        while genome in self._places:
            found.append(genome)
            genome = int(self._parents[self._places[genome], 0])
        return found[::-1]

    def ancestor(self, genome: int) -> Ancestor:
        """Return what is known of a genome that took a cell."""
        place = self._places[genome]
        row, parents = self._first[place], self._parents[place]
        best: dict[int, float] = {}
        for place in self._rows_of[genome]:
            class_, confidence = int(self._rows["class"][place]), float(self._rows["confidence"][place])
            best[class_] = max(confidence, best.get(class_, 0.0))
        return Ancestor(
            id=genome,
            parents=(int(parents[0]), int(parents[1])),
            operator=self._operators[self._rows["operator"][row]],
            island=int(self._rows["island"][row]),
            generation=int(self._rows["generation"][row]),
            held=tuple(sorted((Held(*item) for item in best.items()), key=lambda held: -held.confidence)),
        )

    def goal_switches(self) -> GoalSwitches:
        """Count takeovers and goal switches of every class."""
        history = {name: column[: self._taken] for name, column in self._rows.items()}
        return goal_switches(history, len(self.classes))

    def switched(self) -> Iterator[tuple[int, int]]:
        """Yield goal switches: the class that the parent was surest of, and the one that its child took."""
        history = {name: column[: self._taken] for name, column in self._rows.items()}
        rows, parents = _switches(history)
        surest: dict[int, tuple[int, float]] = {}
        for id_, class_, confidence in zip(
            *(self._rows[name].tolist() for name in ("id", "class", "confidence")), strict=True
        ):
            if confidence > surest.get(id_, (0, -1.0))[1]:
                surest[id_] = (class_, confidence)
        for target, pair in zip(history["class"][rows].tolist(), parents.tolist(), strict=True):
            known = next((surest[parent] for parent in pair if parent in surest), None)
            if known is not None:
                yield known[0], target

    def tree(self, class_: int | None = None) -> networkx.DiGraph[int]:
        """Return the elite of a class, or all elites, and what they descend from.

        An edge leads from each parent to its child.

        Nodes have `generation`, `island`, `operator`, `class`, `name` and `confidence` (of the most confident
        cell that they took), and `elite` (whether they hold a cell now).
        """
        import networkx

        chosen = self._elite_ids if class_ is None else self._elite_ids[class_ : class_ + 1]
        elites = np.unique(chosen[chosen >= 0])
        ids = np.union1d(descent(elites, self._ids, self._parents), elites)
        graph: networkx.DiGraph[int] = networkx.DiGraph()
        living = set(elites.tolist())
        for genome in ids.tolist():
            found = self.ancestor(genome)
            graph.add_node(
                genome,
                generation=found.generation,
                island=found.island,
                operator=found.operator,
                confidence=found.held[0].confidence,
                elite=genome in living,
                name=self.classes[found.held[0].class_],
                **{"class": found.held[0].class_},
            )
            graph.add_edges_from((parent, genome) for parent in found.parents if parent in self._places)
        return graph

    @cached_property
    def _places(self) -> dict[int, int]:
        return {genome: place for place, genome in enumerate(self._ids.tolist())}

    @cached_property
    def _rows_of(self) -> dict[int, npt.NDArray[np.intp]]:
        order = np.argsort(self._rows["id"], kind="stable")
        starts = np.searchsorted(self._rows["id"][order], self._ids)
        return dict(zip(self._ids.tolist(), np.split(order, starts[1:]), strict=True))


def newick(tree: networkx.DiGraph[int]) -> str:
    """Return a tree in Newick's format; branch lengths are generations, labels are `class-name_id`.

    A child of two parents hangs from the first of them by id; genomes of generation 0 hang from one root.
    """
    children: dict[int, list[int]] = {genome: [] for genome in tree}
    roots: list[int] = []
    for genome in sorted(tree):
        parents = sorted(tree.predecessors(genome))
        (children[parents[0]] if parents else roots).append(genome)
    text: dict[int, str] = {}
    for genome in sorted(tree, reverse=True):  # children have larger ids than their parents
        inside = ",".join(text.pop(child) for child in children[genome])
        node = tree.nodes[genome]
        above = [tree.nodes[parent]["generation"] for parent in sorted(tree.predecessors(genome))[:1]]
        length = node["generation"] - (above[0] if above else 0)
        label = f"{node['class']}-{node['name']}_{genome}".replace("'", "''")
        text[genome] = f"{f'({inside})' if inside else ''}'{label}':{length}"
    return f"({','.join(text[root] for root in roots)});"
