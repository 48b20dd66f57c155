"""Decides what is scored on held-out networks, and keeps what they said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from islands.archipelago.scorer import ScoreTask
from islands.archipelago.scorers import Scorers
from islands.config import NetworkConfig
from islands.errors import IslandsError
from islands.evolution.checkpoint import Checkpoint
from islands.evolution.elites import Elites
from islands.evolution.scores import HeldOutScores, Scores

CHUNK = 32
"""Elites per task: little is lost with a scorer, and its results come steadily."""

_Bools = npt.NDArray[np.bool_]

CommitScores = Callable[[tuple[HeldOutScores, ...]], object]


class Scoring:
    """Scores the elites of the latest checkpoint that have changed since they were last scored.

    There is no queue: a scorer that has time takes what is stale by then, longest unscored first. One that is
    slower than evolution thus skips elites that were replaced meanwhile, and each score names the checkpoint
    that it is of. A failure ends the scoring and is kept for `require_sound`; it never reaches evolution.
    """

    def __init__(
        self,
        networks: Sequence[NetworkConfig],
        scorers: Scorers,
        runs: int,
        class_count: int,
        *,
        full: bool = False,
    ) -> None:
        self._networks = networks
        self._scorers = scorers
        self._full = full
        blank = Scores.none_yet(class_count, class_count if full else None)
        self._tables = [[blank] * runs for _ in networks]
        self._under_way = np.zeros((len(networks), runs, class_count), np.bool_)
        self._news: set[int] = set()
        self._epoch = -1
        self._elites: tuple[Elites, ...] = ()
        """Of each run, the best of each class at that epoch; none before the first checkpoint."""
        self._failure: IslandsError | None = None

    @property
    def pending(self) -> int:
        """Scores that the latest checkpoint lacks; 0 once scoring has failed."""
        return 0 if self._failure else sum(int(stale.sum()) for _, _, stale in self._stale())

    def restore(self, stored: Sequence[HeldOutScores]) -> None:
        """Take over what the same networks said before."""
        by_fingerprint = {scores.fingerprint: scores for scores in stored}
        for network, facts in enumerate(self._scorers.facts):
            scores = by_fingerprint.get(facts.fingerprint)
            if scores and not (self._full and any(run.probabilities is None for run in scores.runs)):
                # Probabilities that are stored, but not asked for any more, are left out.
                names = self._tables[network][0].columns()
                self._tables[network] = [
                    Scores(**{name: run.columns()[name] for name in names}) for run in scores.runs
                ]

    def watch(self, checkpoint: Checkpoint) -> None:
        """Score the elites of `checkpoint` from now on."""
        self._epoch = checkpoint.epoch
        self._elites = tuple(run.elites.of_classes() for run in checkpoint.runs)
        self.poll()

    def poll(self, timeout: float = 0.0) -> None:
        """Take results in, and hand tasks out; wait for a result for at most `timeout` seconds."""
        if self._failure is not None:
            return
        try:
            for done, scores in self._scorers.wait(timeout):
                self._under_way[done.network, done.run, done.classes] = False
                if scores is not None:
                    table = self._tables[done.network]
                    table[done.run] = table[done.run].put(done.classes, scores)
                    self._news.add(done.network)
            while self._scorers.free > 0 and (task := self._next()) is not None:
                self._under_way[task.network, task.run, task.classes] = True
                self._scorers.submit(task)
        except IslandsError as error:
            self._failure = error
        except Exception as error:  # of a network of the user's own
            self._failure = IslandsError(f"{type(error).__name__}: {error}")
            self._failure.__cause__ = error

    def take(self) -> tuple[HeldOutScores, ...]:
        """Return the scores of networks that have said anything new since the last call."""
        news, self._news = sorted(self._news), set()
        return tuple(map(self._scores, news))

    def scores(self) -> tuple[HeldOutScores, ...]:
        """Return the scores of all networks, in the order of the configuration."""
        return tuple(map(self._scores, range(len(self._networks))))

    def require_sound(self) -> None:
        """Check that scoring has not failed.

        Raises:
            IslandsError: it has; what was scored before is kept.
        """
        if self._failure is not None:
            raise type(self._failure)(
                f"scoring on held-out networks failed: {self._failure}"
            ) from self._failure

    def _scores(self, network: int) -> HeldOutScores:
        return HeldOutScores(
            name=self._networks[network].label,
            settings=self._networks[network].model_dump(mode="json"),
            fingerprint=self._scorers.facts[network].fingerprint,
            runs=tuple(self._tables[network]),
        )

    def _stale(self) -> Iterator[tuple[int, int, _Bools]]:
        """Return network, run, and which cells hold an elite that was not scored."""
        for network, tables in enumerate(self._tables):
            for run, (table, elites) in enumerate(zip(tables, self._elites, strict=bool(self._elites))):
                yield network, run, (elites.ids >= 0) & (elites.ids != table.ids)

    def _next(self) -> ScoreTask | None:
        """Return the task for the network and run that lag most behind."""
        waiting = [(n, run, stale & ~self._under_way[n, run]) for n, run, stale in self._stale()]
        network, run, rows = max(waiting, key=lambda each: int(each[2].sum()), default=(0, 0, np.zeros(0)))
        if not rows.any():
            return None
        stale: npt.NDArray[Any] = np.flatnonzero(rows)
        ages = self._tables[network][run].epochs[stale]
        # What was never scored has epoch -1, and comes first. Stable: equals go in the order of classes.
        elites = self._elites[run].take(stale[np.argsort(ages, kind="stable")[:CHUNK]])
        return ScoreTask(network, run, self._epoch, elites.classes, elites.ids, elites.genomes, self._full)
