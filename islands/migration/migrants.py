"""How elites are sent as parent candidates, in pagmo's words: who leaves, who stays. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from islands.extensions.kinds import Registry
from islands.extensions.sections import Choice, NonNegativeInt, PositiveInt, Section, own_settings

if TYPE_CHECKING:
    # Files that name these are read without NumPy.
    import numpy as np
    import numpy.typing as npt

    from islands.evolution.elites import Elites

    Rows = Sequence[int] | npt.NDArray[np.intp]


class SelectionSettings(Section):
    """Which elites leave. Your own derives from this, and chooses them.

    Example:
        >>> class Weakest(islands.SelectionSettings):
        ...     def choose(self, elites, size, stream):
        ...         return elites.fitness.argsort()[:size]
        >>> Weakest(name="weakest").name
        'weakest'
    """

    name: str
    """`islands selections` lists them. `MODULE:NAME` or `file:PATH.py:NAME` is your own."""

    def choose(self, elites: Elites, size: int, stream: np.random.Generator) -> Rows:
        """Return the rows that leave, at most `size` different ones.

        Args:
            elites: all of different genomes, at least `size`.
            size: how many may leave.
            stream: what chance is drawn from.
        """
        raise NotImplementedError(f"{type(self).__name__} chooses none")


class RandomSelection(SelectionSettings):
    """Any is as likely as another: keeps islands unlike."""

    name: Literal["random"] = "random"

    def choose(self, elites: Elites, size: int, stream: np.random.Generator) -> Rows:
        """Choose; see `SelectionSettings`."""
        return stream.choice(len(elites), size, replace=False)


class BestSelection(SelectionSettings):
    """Those of highest fitness: spreads what is good, and makes islands alike."""

    name: Literal["best"] = "best"

    def choose(self, elites: Elites, size: int, stream: np.random.Generator) -> Rows:
        """Choose; see `SelectionSettings`."""
        del stream
        return _fittest(elites, size)


class TournamentSelection(SelectionSettings):
    """The fitter of two drawn ones, again and again: between `random` and `best`."""

    name: Literal["tournament"] = "tournament"

    def choose(self, elites: Elites, size: int, stream: np.random.Generator) -> Rows:
        """Choose; see `SelectionSettings`."""
        left, chosen = list(range(len(elites))), list[int]()
        for _ in range(size):
            pair = [left[i] for i in stream.choice(len(left), min(2, len(left)), replace=False)]
            winner = max(pair, key=lambda row: (elites.fitness[row], -row))
            left.remove(winner)
            chosen.append(winner)
        return chosen


class DiverseSelection(SelectionSettings):
    """The best, then whatever is farthest in the network's probabilities from all chosen: shows the most."""

    name: Literal["diverse"] = "diverse"

    def choose(self, elites: Elites, size: int, stream: np.random.Generator) -> Rows:
        """Choose; see `SelectionSettings`."""
        del stream
        chosen = [int(elites.fitness.argmax())]
        distances = _distances(elites, chosen[0])
        while len(chosen) < size:
            # Not again, even where all that are left are copies of those chosen.
            distances[chosen] = -1
            chosen.append(int(distances.argmax()))
            distances = distances.clip(max=_distances(elites, chosen[-1]))
        return chosen


SELECTIONS = Registry[type[SelectionSettings]](
    "selections",
    "a class that derives from islands.SelectionSettings",
    own_settings(SelectionSettings),
    {
        "random": RandomSelection,
        "best": BestSelection,
        "tournament": TournamentSelection,
        "diverse": DiverseSelection,
    },
)
"""All selections by name."""


class ReplacementSettings(Section):
    """Which migrants an island keeps. Your own derives from this, and chooses them.

    Example:
        >>> class First(islands.ReplacementSettings):
        ...     def keep(self, migrants, held, capacity, stream):
        ...         return range(min(capacity, len(migrants)))
        >>> First(name="first").name
        'first'
    """

    name: str
    """`islands replacements` lists them. `MODULE:NAME` or `file:PATH.py:NAME` is your own."""

    def keep(self, migrants: Elites, held: int, capacity: int, stream: np.random.Generator) -> Rows:
        """Return the rows that are kept, at most `capacity` different ones.

        Args:
            migrants: all of different genomes; those held before come first.
            held: how many these are.
            capacity: how many can be kept.
            stream: what chance is drawn from.
        """
        raise NotImplementedError(f"{type(self).__name__} keeps none")


class LatestReplacement(ReplacementSettings):
    """Those that came last: what is held changes always."""

    name: Literal["latest"] = "latest"

    def keep(self, migrants: Elites, held: int, capacity: int, stream: np.random.Generator) -> Rows:
        """Choose; see `ReplacementSettings`."""
        del held, stream
        return range(len(migrants))[-capacity:]


class BestReplacement(ReplacementSettings):
    """Those of highest fitness; of equals, those that came first."""

    name: Literal["best"] = "best"

    def keep(self, migrants: Elites, held: int, capacity: int, stream: np.random.Generator) -> Rows:
        """Choose; see `ReplacementSettings`."""
        del held, stream
        return _fittest(migrants, capacity)


class RandomReplacement(ReplacementSettings):
    """Drawn ones: some stay long, and none for sure."""

    name: Literal["random"] = "random"

    def keep(self, migrants: Elites, held: int, capacity: int, stream: np.random.Generator) -> Rows:
        """Choose; see `ReplacementSettings`."""
        del held
        return stream.choice(len(migrants), min(capacity, len(migrants)), replace=False)


class CrowdingReplacement(ReplacementSettings):
    """Where there is no room, a newcomer takes the place of the held one most like it, if it is fitter."""

    name: Literal["crowding"] = "crowding"

    def keep(self, migrants: Elites, held: int, capacity: int, stream: np.random.Generator) -> Rows:
        """Choose; see `ReplacementSettings`."""
        del stream
        kept = list(range(min(held, capacity)))
        for row in range(len(kept), len(migrants)):
            if len(kept) < capacity:
                kept.append(row)
                continue
            nearest = int(_distances(migrants, row)[kept].argmin())
            if migrants.fitness[row] > migrants.fitness[kept[nearest]]:
                kept[nearest] = row
        return kept


REPLACEMENTS = Registry[type[ReplacementSettings]](
    "replacements",
    "a class that derives from islands.ReplacementSettings",
    own_settings(ReplacementSettings),
    {
        "latest": LatestReplacement,
        "best": BestReplacement,
        "random": RandomReplacement,
        "crowding": CrowdingReplacement,
    },
)
"""All replacements by name."""


class MigrationConfig(Section):
    """Elites sent as parent candidates, in pagmo's words."""

    every: PositiveInt = 1
    """Epochs between two sendings."""
    size: NonNegativeInt = 8
    """Elites sent at a time; 0 sends none."""
    capacity: PositiveInt = 16
    """Migrants that an island holds at most."""
    selection: Annotated[SelectionSettings, Choice(SELECTIONS, SelectionSettings, by_name=True)] = (
        RandomSelection()
    )
    """Which elites leave: drawn uniformly, those of highest fitness, the fitter of two drawn ones each time,
    or the best and then whatever the network sees least alike."""
    replacement: Annotated[ReplacementSettings, Choice(REPLACEMENTS, ReplacementSettings, by_name=True)] = (
        LatestReplacement()
    )
    """Which migrants are kept beyond capacity: those that came last, those of highest fitness, drawn ones, or
    each that is fitter than the held one most like it, in whose place it comes."""
    type: Literal["p2p", "broadcast"] = "p2p"
    """From one connected island drawn at random, or from all of them."""
    handling: Literal["preserve", "evict"] = "preserve"
    """Whether held migrants stay when new ones come."""


def _fittest(elites: Elites, size: int) -> Rows:
    # Stable: of equals the first class comes first, whichever sort NumPy prefers on this machine.
    return (-elites.fitness).argsort(kind="stable")[:size]


def _distances(elites: Elites, row: int) -> npt.NDArray[Any]:
    """Return how far each is from one of them in the network's probabilities, squared: float32 (n,)."""
    squares: npt.NDArray[Any] = ((elites.probabilities - elites.probabilities[row]) ** 2).sum(1)
    return squares
