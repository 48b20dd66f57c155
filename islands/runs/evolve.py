"""The stage that evolves the archives."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from islands.archipelago.driver import Archipelago
from islands.archipelago.executor import Executor
from islands.archipelago.progress import Observe
from islands.archipelago.scorers import Scorers
from islands.archipelago.scoring import Scoring
from islands.classifiers.catalogue import served_parts
from islands.classifiers.hosts import served_name
from islands.classifiers.query_ledger import asked_so_far
from islands.config import RunConfig
from islands.evolution.checkpoint import Checkpoint
from islands.evolution.scores import HeldOutScores
from islands.observe.interruptions import SIGNALS, answered
from islands.observe.lines import begin
from islands.store.writer import StoreWriter


def evolve(
    config: RunConfig,
    writer: StoreWriter,
    executor: Executor,
    observe: Observe,
    scorers: Scorers | None = None,
) -> bool:
    """Evolve from the last checkpoint of the store to the end of the budget; return whether it is spent.

    Scorers, where there are any, score the elites of each checkpoint on the held-out networks meanwhile.

    The first Ctrl-C or SIGTERM finishes the epochs that run and commits; the second stops at once, and the
    last commit stands.
    """
    class_count = len(executor.facts.classes)
    scoring = None if scorers is None else Scoring(config.held_out, scorers, config.runs, class_count)
    names = [network.name for network in (config.network, *config.held_out)]
    served = {part: served_name(part) for name in names for part in served_parts(name)}

    def note_queries() -> None:
        if served:
            writer.set_queries({name: asked_so_far(place) for name, place in served.items()})

    def commit(checkpoint: Checkpoint, complete: bool) -> None:
        note_queries()
        writer.commit(checkpoint, complete)

    def commit_scores(scores: tuple[HeldOutScores, ...]) -> None:
        note_queries()
        writer.commit_scores(scores)

    archipelago = Archipelago(config, class_count, executor, commit, observe, scoring, commit_scores)
    checkpoint = writer.load()
    if checkpoint is not None:
        archipelago.restore(checkpoint)
    begin("judging generation 0" if checkpoint is None else f"going on from epoch {checkpoint.epoch}")
    with _stopped_by_signals(archipelago.stop):
        return archipelago.evolve()


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers signals to the main thread only
        return

    def on_signal(_number: int, _frame: object) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        stop()

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        with answered("Stopping: this epoch is finished, then committed. Ctrl-C again drops it."):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
