"""One number for one thing: progress, curves and elites tell of the archive when all mail is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from islands.archipelago.executor import InProcessExecutor
from islands.archipelago.host import build_host
from islands.evolution.checkpoint import Letter
from tests.archipelago.conftest import evolve, in_process, small_config

LONGER: dict[str, Any] = {"evolve": {"generations": 40, "generations_per_epoch": 2}}


@pytest.mark.parametrize("islands", [{}, {"lag": 4}, {"asynchronous": True}, {"claims": False}], ids=str)
@pytest.mark.parametrize("tie_break", ["first", "margin"])
def test_they_agree_at_every_commit(islands: dict[str, Any], tie_break: str) -> None:
    config = small_config(
        evolve={**LONGER["evolve"], "tie_break": tie_break},
        islands={"count": 3, **islands},
        checkpoint={"every_s": 1e-9},
    )
    found = in_process(config)
    curves = [np.empty((0, 10), np.float32)] * 2
    in_transit = 0
    for commit in found.commits:
        for number, run in enumerate(commit.runs):
            curves[number] = np.concatenate([curves[number], run.curves])
            assert len(curves[number]) == commit.epoch + 1
            np.testing.assert_array_equal(curves[number][-1], run.elites.confidence)
            in_transit += int((run.mail.kinds == Letter.OVERRULED).sum())
    assert (in_transit > 0) is islands.get("claims", True)
    for run_curves in curves:
        assert (np.diff(run_curves, axis=0) >= 0).all()
    end = [run.elites.confidence for run in found.last.runs]
    np.testing.assert_array_equal(found.reports[-1].confidence, end)


def test_a_resumed_run_has_the_same_curves() -> None:
    config = small_config(**LONGER, checkpoint={"every_s": 1e-9})
    whole = in_process(config)
    first = whole.commits[len(whole.commits) // 2]
    rest = evolve(config, InProcessExecutor(build_host(config), 1, threads=1), checkpoint=first)
    for number in range(2):
        expected = np.concatenate([commit.runs[number].curves for commit in whole.commits])
        got = np.concatenate([commit.runs[number].curves for commit in rest.commits])
        np.testing.assert_array_equal(got, expected[first.epoch + 1 :])
