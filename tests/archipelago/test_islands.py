"""What islands owe each other: isolation, claims, migrants, and errors that surface."""

from __future__ import annotations

import numpy as np
import pytest

from islands.archipelago.host import build_host
from islands.archipelago.messages import Inbox, IslandKey
from islands.errors import IslandFailedError, NotLoadedError
from islands.evolution import records
from tests.archipelago.conftest import Evolution, in_process, recording_host, small_config


def test_with_claims_nothing_that_was_found_is_lost() -> None:
    """N islands together keep, per class, at least what the best child of that class scored."""
    config = small_config(runs=1)
    host, recorder = recording_host(config)
    final = in_process(config, host=host).last.runs[0].elites
    np.testing.assert_array_equal(final.confidence, recorder.best.numpy())


def test_without_claims_something_is_lost() -> None:
    config = small_config(runs=1, islands={"claims": False})
    host, recorder = recording_host(config)
    final = in_process(config, host=host).last.runs[0].elites
    assert (final.confidence < recorder.best.numpy()).any()


def test_unconnected_islands_without_claims_are_alone() -> None:
    """OpenEvolve #40, #138, #222: islands existed in name only."""
    config = small_config(runs=1, islands={"claims": False, "topology": "unconnected"})
    together = in_process(config).last.runs[0].elites
    for island, classes in enumerate((range(0, 3), range(3, 6), range(6, 10))):
        host = build_host(config)
        host.load(IslandKey(0, island), None)
        for epoch in range(config.evolve.epochs + 1):
            host.step(IslandKey(0, island), epoch, Inbox())
        alone = host._islands[IslandKey(0, island)]._archive
        assert alone.columns["ids"].tolist() == together.ids[classes.start : classes.stop].tolist()


def test_every_island_evolves(undisturbed: Evolution) -> None:
    """OpenEvolve #289, #391: only island 0 evolved."""
    for run in undisturbed.last.runs:
        children = np.asarray(run.history["generation"], int) > 0
        assert set(run.history["island"][children]) == {0, 1, 2}
        assert (run.curves[-1] > run.curves[0]).reshape(-1)[[0, 3, 6]].any()


def test_islands_exchange_claims_and_migrants(undisturbed: Evolution) -> None:
    rows = undisturbed.last.runs[0].migrations
    assert set(rows["kind"]) == {0, 1}
    assert (rows["sender"] != rows["receiver"]).all()
    assert rows["accepted"].any()
    assert np.asarray(rows["epoch"], int).min() >= small_config().islands.lag


def test_a_migrant_is_taken_at_most_once_by_an_island(undisturbed: Evolution) -> None:
    """OpenEvolve: one program had 183 migrated descendants by iteration 850."""
    rows = undisturbed.last.runs[0].migrations
    taken = (rows["kind"] == 1) & rows["accepted"]
    held = undisturbed.last.runs[0].mail
    for island in range(3):
        ids = held.elites.ids[(held.kinds == 2) & (held.receivers == island)]
        assert len(set(ids.tolist())) == len(ids)
        assert set(ids.tolist()) <= set(rows["id"][taken & (rows["receiver"] == island)].tolist())


def test_every_elite_descends_from_generation_0_by_recorded_parents(undisturbed: Evolution) -> None:
    run = undisturbed.last.runs[0]
    history = records.stack([commit.runs[0].history for commit in undisturbed.commits])
    parents = {int(i): p for i, p in zip(history["id"], history["parents"], strict=True)}
    parents |= {int(i): p for i, p in zip(run.elites.ids, run.elites.parents, strict=True)}
    for elite in run.elites.ids:
        current, steps = int(elite), 0
        while parents[current][0] >= 0:
            current, steps = int(parents[current][0]), steps + 1
            assert steps < 100


def test_generation_0_is_the_first_row_of_the_curves(undisturbed: Evolution) -> None:
    curves = np.concatenate([commit.runs[0].curves for commit in undisturbed.commits])
    assert curves.shape == (small_config().evolve.epochs + 1, 10)
    assert (np.diff(curves, axis=0) >= 0).all()


def test_an_exception_surfaces_with_island_epoch_and_traceback() -> None:
    """The bug pagmo #514: an archipelago silently did not evolve."""
    config = small_config(runs=1)
    host, _ = recording_host(config, fail_at=6)
    with pytest.raises(
        IslandFailedError, match=r"island \d of run 0 failed in epoch \d: ZeroDivision"
    ) as failure:
        in_process(config, host=host)
    assert "in predict" in str(failure.value)


def test_an_epoch_out_of_turn_is_refused() -> None:
    """A worker that Ray restarted empty must not compute from nothing."""
    host = build_host(small_config())
    key = IslandKey(0, 0)
    with pytest.raises(NotLoadedError):
        host.step(key, 0, Inbox())
    host.load(key, None)
    with pytest.raises(NotLoadedError):
        host.step(key, 1, Inbox())
