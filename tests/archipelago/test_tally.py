"""How the workers got on, from what they did to what a store says of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from islands.archipelago.executor import Finished, Lost
from islands.archipelago.host import build_host
from islands.archipelago.messages import Inbox, IslandKey
from islands.archipelago.tally import Tally
from islands.cli.status_command import _status_text
from islands.evolution.checkpoint import WorkerHealth
from islands.store.health import in_short, tell
from islands.store.reader import StoreReader
from islands.store.status import read_status
from tests.archipelago.conftest import Evolution, small_config
from tests.store.samples import make_checkpoint, make_store

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HEALTH = (
    WorkerHealth(0, ((0, 1), (1, 0), (1, 2)), 1234.56, 0, 0, (NOW - timedelta(seconds=30)).isoformat()),
    WorkerHealth(1, (), 0.0, 3, 1, None),
)


def test_it_counts_what_each_worker_does() -> None:
    host, key, other = build_host(small_config()), IslandKey(0, 0), IslandKey(0, 1)
    host.load(key, None)
    result = host.step(key, 0, Inbox())
    tally = Tally(now=100.0)
    tally.note(Finished(key, result, worker=1))
    tally.note(Finished(other, result, worker=1))
    tally.note(Lost(key, "gone", worker=1, restarted=True))
    tally.note(Lost(other, "gone", worker=1))
    tally.note(Finished(key, result, worker=0))
    first, second = tally.take(now=110.0)
    rate = round(result.delta.evaluations / 10, 2)
    assert first[:5] == (0, ((0, 0),), rate, 0, 0)
    assert second[:5] == (1, ((0, 1),), 2 * rate, 2, 1)
    assert [each.images_per_second for each in tally.take(now=120.0)] == [0, 0]


def test_a_run_notes_who_had_which_islands(undisturbed: Evolution) -> None:
    (worker,) = undisturbed.last.workers
    assert worker.islands == tuple((run, island) for run in range(2) for island in range(3))
    assert worker.images_per_second > 0
    assert (worker.lost_epochs, worker.restarts) == (0, 0)


def test_a_store_keeps_it_and_the_status_says_it(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(1, 0)
    with make_store(tmp_path / "run") as writer:
        writer.commit(checkpoint, complete=False)
        assert StoreReader(tmp_path / "run").checkpoints()[-1].workers == ()
        assert "workers" not in _status_text(read_status(tmp_path / "run"))
        writer.commit(replace(make_checkpoint(1, 1), workers=HEALTH), complete=False)
    assert StoreReader(tmp_path / "run").checkpoints()[-1].workers == HEALTH
    text = _status_text(read_status(tmp_path / "run"))
    assert "workers        0: run 0: 1; run 1: 0, 2, 1,234.6 images/s, nothing lost, last epoch " in text
    assert "               1: none yet, 0.0 images/s, 3 epochs lost, 1 restart, last epoch none yet" in text


def test_scores_that_come_later_leave_it(tmp_path: Path) -> None:
    checkpoint = replace(make_checkpoint(1, 0), workers=HEALTH)
    with make_store(tmp_path / "run") as writer:
        writer.commit(replace(checkpoint, scores=()), complete=True)
        writer.commit_scores(checkpoint.scores)
    assert StoreReader(tmp_path / "run").checkpoints()[-1].workers == HEALTH


def test_words() -> None:
    assert in_short((), NOW) == ""
    said = "2 workers: 1,234.6 images/s, 3 epochs lost, 1 restart, last epoch 30 seconds ago"
    assert in_short(HEALTH, NOW) == said
    assert tell(HEALTH, NOW - timedelta(hours=1))[0].last == "0.0 seconds ago"
