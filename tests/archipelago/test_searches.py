"""Parents in turn on one island and on many: counters, claims and migrants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from islands.archipelago.host import build_host
from islands.archipelago.messages import Inbox, IslandKey
from islands.config import WorkConfig
from islands.evolution.checkpoint import Letter, RunCheckpoint
from islands.search.presets import settings_of
from tests.archipelago.conftest import in_process, recording_host, small_config


def searching(preset: str, islands: int, migrants: int | None = None, **sections: Any) -> WorkConfig:
    """Return a run of 880 images of digits, however many islands share them; None: migrants as preset."""
    chosen = settings_of(preset, "cppn")
    migration = chosen.get("islands", {}) if migrants is None else {"migration": {"size": migrants}}
    evolve = {"initial": 80, "children": 40, "generations": 20, "tie_break": "margin"}
    return small_config(
        encoding={"name": "cppn", **chosen.get("encoding", {})},
        evolve={**chosen.get("evolve", {}), **evolve},
        islands={"count": islands, **migration},
        **sections,
    )


def known_to(run: RunCheckpoint, island: int, islands: int) -> set[int]:
    """Return the genomes that an island may choose parents from."""
    own = run.elites.ids.copy()
    overruled = run.mail.elites.take(run.mail.kinds == Letter.OVERRULED)
    own[overruled.classes] = overruled.ids
    cells = range(island * 10 // islands, (island + 1) * 10 // islands)
    held = run.mail.elites.ids[(run.mail.kinds == Letter.HELD) & (run.mail.receivers == island)]
    return {*own[cells.start : cells.stop].tolist(), *held.tolist()}


@pytest.mark.slow
@pytest.mark.parametrize("islands", [1, 2, 8])
def test_an_island_counts_the_children_of_those_that_are_on_it(islands: int) -> None:
    config = searching("swift", islands, migrants=8, runs=1)
    host, recorder = recording_host(config)
    run = in_process(config, host=host).last.runs[0]
    assert run.evaluations == 880
    assert len(run.mail.counters) == islands
    for island, counters in enumerate(run.mail.counters):
        assert set(counters.ids.tolist()) <= known_to(run, island, islands)
        # Newcomers are few here: whoever stayed has had a turn.
        assert len(counters) > len(known_to(run, island, islands)) // 2
    # Claims work as they did: whatever scored best is kept by somebody.
    np.testing.assert_array_equal(run.elites.confidence, recorder.best.numpy())


@pytest.mark.slow
def test_at_equal_images_many_islands_of_swift_find_more_than_one_of_the_paper() -> None:
    found = {
        (preset, islands): np.mean(
            [run.elites.fitness for run in in_process(searching(preset, islands, runs=4)).last.runs]
        )
        for preset, islands in (("paper", 1), ("swift", 1), ("swift", 2), ("swift", 8))
    }
    assert found["swift", 1] > found["paper", 1] + 1
    assert found["swift", 2] > found["paper", 1] + 1
    assert found["swift", 8] > found["paper", 1] + 1


def test_whoever_comes_begins_anew_and_clones_share_a_count() -> None:
    """A migrant and a claim of one genome: it has had the children that the island knows of."""
    config = searching("swift", 2, migrants=8, runs=1)
    host, key = build_host(config), IslandKey(0, 0)
    other = IslandKey(0, 1)
    for each in (key, other):
        host.load(each, None)
        host.step(each, 0, Inbox())
    outbox = host.step(other, 1, Inbox()).outbox
    assert outbox.migrants is not None
    arrived = outbox.migrants.take(np.arange(3))
    senders = np.ones(3, np.int32)
    delta = host.step(key, 1, Inbox(migrants=arrived, migrant_senders=senders)).delta
    bred = delta.counters.of(arrived.ids)
    # Three new genomes among few: each has had its turns by the end of the epoch, and no more than others.
    assert (bred > 0).all()
    assert bred.max() - bred.min() <= 1
    # One of them comes again, as a claim that takes a cell.
    claim = replace(
        arrived.take(np.arange(1)),
        cells=np.zeros(1, np.int32),
        fitness=np.full(1, 99, np.float32),
    )
    after = host.step(key, 2, Inbox(claims=claim, claim_senders=senders[:1])).delta
    assert after.counters.of(claim.ids)[0] > bred[0]
    assert (after.counters.ids == claim.ids[0]).sum() == 1
