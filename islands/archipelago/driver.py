"""Lets the islands of all runs evolve together, and commits consistent cuts of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from islands.archipelago.committer import Committer
from islands.archipelago.executor import Executor, Finished, Lost
from islands.archipelago.messages import IslandKey
from islands.archipelago.mirror import RunMirror
from islands.archipelago.progress import Observe, Progress
from islands.archipelago.scoring import CommitScores, Scoring
from islands.archipelago.tally import Tally
from islands.config import WorkConfig
from islands.evolution.checkpoint import Checkpoint

_log = logging.getLogger(__name__)

Commit = Callable[[Checkpoint, bool], object]
"""Stores a checkpoint; the flag says whether the stage is complete with it.

It may be called again with a checkpoint for which it has raised: stored is it once, even if it was before.
"""


class Archipelago:
    """The driver: submits epochs, routes the mail, commits.

    An island starts an epoch as soon as the mail of `lag` epochs ago is there; nobody waits at a barrier, and
    timing never changes a result. The driver never scores.
    """

    def __init__(
        self,
        config: WorkConfig,
        class_count: int,
        executor: Executor,
        commit: Commit,
        observe: Observe,
        scoring: Scoring | None = None,
        commit_scores: CommitScores = lambda _: None,
    ) -> None:
        self._config = config
        self._executor = executor
        self._commit = commit
        self._observe = observe
        self._scoring = scoring
        self._commit_scores = commit_scores
        self._runs = [RunMirror(run, config.evolution, class_count) for run in range(config.runs)]
        self._idle = {IslandKey(run, i) for run, mirror in enumerate(self._runs) for i in mirror.islands}
        self._committed = -1  # the epoch of the last cut, which is committed or being committed
        self._barrier: int | None = None
        self._stop = threading.Event()
        self._tally = Tally(time.monotonic())
        self._losses = 0
        self._parcels = 0
        self._busy_s = 0.0
        self._commit_s = 0.0

    @property
    def epoch(self) -> int:
        """The last epoch that every island of every run has done; -1 before any."""
        return min(run.epoch for run in self._runs)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        for mirror, run in zip(self._runs, checkpoint.runs, strict=True):
            mirror.restore(checkpoint.epoch, run)
        self._committed = checkpoint.epoch
        if self._scoring is not None:
            self._scoring.restore(checkpoint.scores)
            self._scoring.watch(checkpoint)

    def stop(self) -> None:
        """Finish the epochs that run, commit, and let `evolve` return; a signal handler may call this."""
        self._stop.set()

    def evolve(self) -> bool:
        """Evolve until the budget is spent or `stop` is called; return whether the budget is spent.

        The last consistent cut is committed before this returns or raises, but for a KeyboardInterrupt or a
        commit that failed for good: then the last commit stands. When the budget is spent, what held-out
        networks still have to say of the last checkpoint is awaited and committed, unless `stop` is called.
        """
        epochs = self._config.evolve.epochs
        started, evaluations_before = time.monotonic(), self._evaluations
        committed_at = started
        with Committer() as committer:
            report = partial(self._report, committer, started, evaluations_before)
            try:
                while self.epoch < epochs:
                    committer.require_sound()
                    elapsed = time.monotonic() - committed_at
                    wanted = self._committed < 0 or elapsed >= self._config.checkpoint.every_s
                    # Cuts do not queue up behind a slow commit: the next one is newer.
                    due = wanted and committer.is_idle
                    if due or self._stop.is_set():
                        self._align()
                    self._submit_ready(epochs)
                    if self._stop.is_set() and not self._anyone_busy:
                        break
                    # A second at most: a stop or a commit that is due must not wait for a long epoch.
                    for outcome in self._executor.wait(timeout=1.0):
                        self._take(outcome)
                    if self._scoring is not None:
                        self._scoring.poll()
                    if due and self._has_news:
                        self._cut(committer)
                        committed_at = time.monotonic()
                    report(committed_at)
                self._commit_what_is_new(committer)
                while self._scoring is not None and self._scoring.pending and not self._stop.is_set():
                    self._scoring.poll(timeout=1.0)
                    report(time.monotonic())
                    committer.require_sound()
            except Exception:
                self._commit_what_is_new(committer)
                raise
            self._commit_what_is_new(committer)
        report(time.monotonic())
        if self._scoring is not None:
            # Last: whatever held-out networks did, what has evolved is committed by now.
            self._scoring.require_sound()
        return self.epoch >= epochs

    @property
    def _evaluations(self) -> int:
        return sum(run.evaluations for run in self._runs)

    @property
    def _anyone_busy(self) -> bool:
        return len(self._idle) < sum(len(run.islands) for run in self._runs)

    @property
    def _furthest(self) -> int:
        """The last epoch that any island has done or is doing."""
        return max(
            mirror.epoch_of(island) + (IslandKey(run, island) not in self._idle)
            for run, mirror in enumerate(self._runs)
            for island in mirror.islands
        )

    @property
    def _has_news(self) -> bool:
        """Whether a cut at `epoch` is possible and would be new.

        What a deterministic island reads in an epoch is known, so any epoch will do. What an asynchronous one
        has read is gone from the mail: all must stand at the same epoch.
        """
        aligned = not self._config.islands.asynchronous or self._furthest == self.epoch
        return aligned and self.epoch > self._committed

    def _align(self) -> None:
        """Let asynchronous islands go no further than the furthest, so that a cut becomes possible."""
        if self._config.islands.asynchronous and self._barrier is None:
            # A cut has to be newer than the last one, unless we stop: then nobody has to move for it.
            news = self._committed + (not self._stop.is_set())
            self._barrier = max(news, self._furthest)

    def _submit_ready(self, epochs: int) -> None:
        # Before `stop` is asked for: asynchronous islands have to reach the barrier, or no cut is possible.
        if self._barrier is not None:
            epochs = self._barrier
        elif self._stop.is_set():
            return
        for key in sorted(self._idle):
            mirror = self._runs[key.run]
            epoch = mirror.epoch_of(key.island) + 1
            inbox = mirror.inbox(key.island) if epoch <= epochs else None
            if inbox is not None:
                self._idle.discard(key)
                self._executor.submit(key, epoch, inbox, partial(mirror.state, key.island))

    def _take(self, outcome: Finished | Lost) -> None:
        self._idle.add(outcome.key)
        self._tally.note(outcome)
        where = outcome.key._asdict()
        if isinstance(outcome, Finished):
            self._runs[outcome.key.run].record(outcome.key.island, outcome.result)
            outbox = outcome.result.outbox
            self._parcels += (outbox.claims is not None) + (outbox.migrants is not None)
            self._busy_s += outcome.result.delta.seconds
            delta = outcome.result.delta
            _log.debug("epoch done", extra={**where, "epoch": delta.epoch, "seconds": delta.seconds})
        else:
            self._losses += 1
            epoch = self._runs[outcome.key.run].epoch_of(outcome.key.island) + 1
            _log.warning(
                "epoch lost with its worker: %s",
                outcome.reason.partition("\n")[0],
                extra={**where, "epoch": epoch},
            )

    def _timed_commit(self, checkpoint: Checkpoint, complete: bool) -> None:
        started = time.monotonic()
        self._commit(checkpoint, complete)
        self._commit_s = time.monotonic() - started
        _log.info("committed", extra={"epoch": checkpoint.epoch, "seconds": self._commit_s})

    def _commit_what_is_new(self, committer: Committer) -> None:
        if self._has_news:
            self._cut(committer)
        elif self._scoring is not None and (news := self._scoring.take()):
            committer.submit("scores", partial(self._commit_scores, news))

    def _cut(self, committer: Committer) -> None:
        epoch = self.epoch
        scores = () if self._scoring is None else self._scoring.take()
        runs = tuple(run.cut(epoch) for run in self._runs)
        checkpoint = Checkpoint(epoch, runs, scores, self._tally.take(time.monotonic()))
        complete = epoch >= self._config.evolve.epochs
        committer.submit(f"epoch {epoch}", partial(self._timed_commit, checkpoint, complete))
        if self._scoring is not None:
            self._scoring.watch(checkpoint)
        self._committed = epoch
        self._barrier = None

    def _report(
        self, committer: Committer, started: float, evaluations_before: int, committed_at: float
    ) -> None:
        now = time.monotonic()
        epoch = self.epoch
        self._observe(
            Progress(
                epoch=epoch,
                epochs=self._config.evolve.epochs,
                generation=max(0, epoch) * self._config.evolve.generations_per_epoch,
                evaluations=self._evaluations,
                evaluations_per_second=(self._evaluations - evaluations_before) / max(now - started, 1e-9),
                confidence=np.stack([run.confidence for run in self._runs]),
                next_checkpoint_s=max(0.0, committed_at + self._config.checkpoint.every_s - now),
                losses=self._losses,
                unscored=0 if self._scoring is None else self._scoring.pending,
                parcels=self._parcels,
                not_finite=sum(run.not_finite for run in self._runs),
                commit_s=self._commit_s,
                efficiency=self._busy_s / max((now - started) * self._config.workers.count, 1e-9),
                commit_failures=committer.failures,
                generations=self._config.evolve.epochs * self._config.evolve.generations_per_epoch,
            )
        )
