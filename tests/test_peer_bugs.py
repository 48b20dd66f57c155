"""Bugs of other libraries, and the tests that keep them out of this one.

OpenEvolve #289, #391       test_every_island_evolves
OpenEvolve #40, #138, #222  test_unconnected_islands_without_claims_are_alone
OpenEvolve's 183 copies     test_a_migrant_is_taken_at_most_once_by_an_island
pagmo #514                  test_an_exception_surfaces_with_island_epoch_and_traceback
pagmo #364                  test_islands_that_do_not_exist_are_refused_with_the_count
QDax's ties                 test_all_columns_of_a_cell_come_from_the_same_child
pyribs #445                 test_fitness_of_a_cell_never_falls
Ray #27790                  test_every_step_may_be_the_last
Ray #28082                  test_moved_store
Ray #53727                  test_an_actor_is_built_from_little
Ray's unchangeable jobs     test_a_resume_may_change_budget_workers_and_checkpoints
ShinkaEvolve PR #189        test_half_the_budget_and_then_the_rest_equals_all_at_once
vibesys PR #235             test_half_the_budget_and_then_the_rest_equals_all_at_once
Zarr #3682                  test_second_writer_is_refused
torchvision #7570           test_a_network_name_is_no_alias
TransferAttack #60          test_a_network_name_is_no_alias
RobustBench #59, #99        test_efficientnet_lite0_knows_real_photographs
EvoGP #14                   test_neither_children_nor_generations_need_synchronisations
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import islands
from islands.archipelago.host import build_host
from islands.archipelago.messages import Inbox, IslandKey
from islands.config import RunConfig
from islands.runs.launch import launch
from islands.runs.resume import resume
from tests.accelerator import count_reads, pretend
from tests.archipelago.conftest import small_config, stored_config
from tests.chaos import digest

_ROWS = re.findall(r"^ *(\w.*\S)  +(test_\w+)$", __doc__, re.MULTILINE)


def test_the_table_is_true() -> None:
    """Each test exists, and its docstring names the bug."""
    files = [*Path(__file__).parent.rglob("test_*.py"), Path(islands.__file__).parent / "testing.py"]
    tests = "\n".join(file.read_text() for file in files)
    for bug, name in _ROWS:
        docstring = tests.partition(f"def {name}(")[2].partition('"""')[2].partition('"""')[0]
        for word in re.findall(r"#\d+", bug) or [bug.partition("'")[0]]:
            assert word in docstring, f"{name} does not name {bug}"
    assert len(_ROWS) == 18


def stored(folder: Path, **sections: Any) -> RunConfig:
    workers = {"executor": "in-process"}
    return stored_config(folder, workers=workers, **sections)


@pytest.mark.slow
def test_a_resume_may_change_budget_workers_and_checkpoints(tmp_path: Path) -> None:
    """Ray cannot restore a job that was changed: a larger budget meant to start anew."""
    whole = launch(stored(tmp_path / "whole"))
    launch(stored(tmp_path / "half", evolve={"generations": 6}))
    changes = ("evolve.generations=12", "workers.count=2", "checkpoint.every_s=0.001", "checkpoint.keep=2")
    resumed = resume(str(tmp_path / "half"), changes)
    assert resumed.complete
    assert digest(resumed.path) == digest(whole.path)


def count_synchronisations(patch: pytest.MonkeyPatch, **evolve: int) -> int:
    """Count what makes the host wait for an accelerator while an island does one epoch."""
    # On an accelerator torch runs the network.
    network = {"name": "lenet-mnist", "engine": "torch"}
    config = small_config(evolve=evolve, islands={"count": 1}, network=network)
    with patch.context() as within:
        pretend(within)
        host, key = build_host(config), IslandKey(0, 0)
        host.load(key, None)
        host.step(key, 0, Inbox())
        return count_reads(within, lambda: host.step(key, 1, Inbox()))


def test_neither_children_nor_generations_need_synchronisations(monkeypatch: pytest.MonkeyPatch) -> None:
    """EvoGP #14: a Python loop over the population kept the device waiting."""
    some = count_synchronisations(monkeypatch, children=5)
    assert 0 < some < 60
    assert count_synchronisations(monkeypatch, children=200) == some
    assert count_synchronisations(monkeypatch, generations_per_epoch=12) == some


def test_a_network_name_is_no_alias() -> None:
    """Torchvision #7570, TransferAttack #60: weights called DEFAULT are others in the next version."""
    with pytest.raises(ValueError, match="DEFAULT"):
        islands.evolve("torchvision:alexnet@DEFAULT")
