"""The archive is a function of the configuration, and of nothing else."""

from __future__ import annotations

import os
import pickle
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from islands.archipelago.driver import Archipelago
from islands.archipelago.executor import InProcessExecutor
from islands.archipelago.host import build_host
from islands.archipelago.progress import Progress
from islands.config import RunConfig, WorkConfig
from islands.runs.launch import launch
from islands.runs.resume import resume
from islands.search.presets import PresetName, settings_of
from islands.store.reader import StoreReader
from tests.archipelago.conftest import (
    Evolution,
    digest,
    evolve,
    in_process,
    recording_host,
    small_config,
    stored_config,
)
from tests.store.comparing import assert_same


@pytest.mark.parametrize("workers", [2, 5])
def test_any_number_of_threads_gives_the_same_bits(undisturbed: Evolution, workers: int) -> None:
    assert digest(in_process(small_config(), workers).last) == digest(undisturbed.last)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ray_gives_the_same_bits(undisturbed: Evolution, ray_cluster: None, workers: int) -> None:
    from islands.archipelago.ray_executor import RayExecutor

    config = small_config(workers={"count": workers})
    assert digest(evolve(config, RayExecutor(config)).last) == digest(undisturbed.last)


@pytest.mark.slow
def test_a_screened_run_repeats_bit_for_bit() -> None:
    config = small_config(network={"screen": "bfloat16", "batch_size": 8})
    assert digest(in_process(config, 1).last) == digest(in_process(config, 5).last)


def test_another_seed_gives_another_archive(undisturbed: Evolution) -> None:
    assert digest(in_process(small_config(seed=6)).last) != digest(undisturbed.last)


def test_runs_of_one_experiment_differ(undisturbed: Evolution) -> None:
    first, second = undisturbed.last.runs
    assert not np.array_equal(first.elites.probabilities, second.elites.probabilities)


def test_commits_do_not_change_what_is_found(undisturbed: Evolution) -> None:
    often = in_process(small_config(checkpoint={"every_s": 1e-6}))
    assert len(often.commits) > 3
    assert digest(often.last) == digest(undisturbed.last)


@pytest.mark.parametrize("reports", [1, 4, 17, 40])
def test_stop_and_resume_gives_the_same_bits(undisturbed: Evolution, reports: int) -> None:
    config = small_config()
    seen = 0

    def stop(archipelago: Archipelago, progress: Progress) -> None:
        nonlocal seen
        seen += 1
        if seen == reports:
            archipelago.stop()

    stopped = evolve(config, InProcessExecutor(build_host(config), 2, 1), on_report=stop)
    resumed = evolve(config, InProcessExecutor(build_host(config), 3, 1), checkpoint=stopped.last)
    assert resumed.complete
    assert digest([*stopped.commits, *resumed.commits][-1]) == digest(undisturbed.last)


@pytest.mark.parametrize(
    "islands",
    [
        {"lag": 1, "topology": "fully_connected", "migration": {"type": "broadcast"}},
        {"lag": 3, "weight": 0.5, "migration": {"selection": "best", "replacement": "best", "every": 2}},
        {"claims": False, "topology": "unconnected"},
        {"migration": {"handling": "evict", "capacity": 3}},
        {"topology": "small_world", "migration": {"selection": "diverse", "replacement": "crowding"}},
        {
            "topology": "scale_free",
            "migration": {"selection": "tournament", "replacement": "random", "capacity": 3},
        },
    ],
)
def test_half_the_budget_and_then_the_rest_equals_all_at_once(islands: dict[str, Any]) -> None:
    """ShinkaEvolve PR #189, vibesys PR #235: a resumed run was another run."""
    whole = small_config(islands=islands)
    half = small_config(islands=islands, evolve={"generations": 6})
    resumed = evolve(whole, InProcessExecutor(build_host(whole), 2, 1), checkpoint=in_process(half).last)
    assert digest(resumed.last) == digest(in_process(whole).last)


def test_the_direct_encoding_resumes_to_the_same_bits() -> None:
    whole = small_config(encoding={"name": "direct"})
    half = small_config(encoding={"name": "direct"}, evolve={"generations": 6})
    resumed = evolve(whole, InProcessExecutor(build_host(whole), 2, 1), checkpoint=in_process(half).last)
    assert digest(resumed.last) == digest(in_process(whole).last)


@pytest.mark.slow
def test_an_actor_is_built_from_little(ray_cluster: None) -> None:
    """Ray #53727: an actor whose constructor arguments exceed 100 KB cannot be restarted."""
    assert len(pickle.dumps(small_config().model_dump(mode="json"))) < 100_000


def test_a_configuration_survives_its_json_form() -> None:
    config = stored_config("run")
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config
    assert WorkConfig.model_validate(config.as_message()) == small_config()


class TestAsynchronousIslands:
    """Nobody waits, results cannot be repeated, and still nothing is lost."""

    CONFIG = small_config(islands={"asynchronous": True}, checkpoint={"every_s": 1e-6})

    def test_nothing_that_was_found_is_lost(self) -> None:
        config = small_config(runs=1, islands={"asynchronous": True})
        host, recorder = recording_host(config)
        final = in_process(config, workers=3, host=host).last.runs[0].elites
        np.testing.assert_array_equal(final.confidence, recorder.best.numpy())

    @pytest.mark.parametrize("reports", [3, 11, 19])
    def test_stop_and_resume_loses_no_fitness(self, reports: int) -> None:
        seen = 0

        def stop(archipelago: Archipelago, progress: Progress) -> None:
            nonlocal seen
            seen += 1
            if seen == reports:
                archipelago.stop()

        host = build_host(self.CONFIG)
        stopped = evolve(self.CONFIG, InProcessExecutor(host, 3, 1), on_report=stop)
        host = build_host(self.CONFIG)
        resumed = evolve(self.CONFIG, InProcessExecutor(host, 3, 1), checkpoint=stopped.last)
        assert resumed.complete
        commits = [*stopped.commits, *resumed.commits]
        for before, after in pairwise(commits):
            for earlier, later in zip(before.runs, after.runs, strict=True):
                assert (later.elites.fitness >= earlier.elites.fitness).all()


class TestOfSearches:
    """What holds of the paper's search holds of the others: counters and gradients are part of the state."""

    EVOLVE: ClassVar = {"initial": 60, "children": 60}

    def config(self, preset: PresetName, encoding: str, **sections: Any) -> WorkConfig:
        chosen = settings_of(preset, encoding)
        evolve = {**chosen["evolve"], **self.EVOLVE, **sections.pop("evolve", {})}
        # Late emitters have to come within this short run.
        evolve["emitters"] = [{**each, "from_images": 0} for each in evolve["emitters"]]
        return small_config(
            encoding={"name": encoding, **chosen.get("encoding", {})}, evolve=evolve, **sections
        )

    CASES = [("swift", "cppn"), ("white-box", "direct"), ("white-box", "dct")]  # noqa: RUF012

    @pytest.mark.slow
    @pytest.mark.parametrize(("preset", "encoding"), CASES)
    def test_any_number_of_threads_and_a_resume_give_the_same_bits(
        self, preset: PresetName, encoding: str
    ) -> None:
        config = self.config(preset, encoding)
        whole = in_process(config, 1).last
        assert digest(in_process(config, 5).last) == digest(whole)
        half = in_process(self.config(preset, encoding, evolve={"generations": 6})).last
        resumed = evolve(config, InProcessExecutor(build_host(config), 2, 1), checkpoint=half).last
        assert digest(resumed) == digest(whole)
        assert_same(resumed.runs[0].mail.counters, whole.runs[0].mail.counters)

    @pytest.mark.slow
    @pytest.mark.parametrize("preset", ["swift", "white-box"])
    def test_a_store_gives_back_what_it_was_given(self, preset: PresetName, tmp_path: Path) -> None:
        def launched(name: str, **evolve: int) -> StoreReader:
            work = self.config(preset, "cppn", evolve=evolve, workers={"executor": "in-process"})
            values = {**work.model_dump(mode="json"), "pipeline": "custom", "store": str(tmp_path / name)}
            return launch(RunConfig.model_validate(values))

        whole, half = launched("whole"), launched("half", generations=6)
        counters = half.resumable(0).mail.counters
        assert len(counters) == 3
        assert all(map(len, counters))
        resumed = resume(str(tmp_path / "half"), ["evolve.generations=12"])
        for run in range(2):
            assert_same(resumed.resumable(run), whole.resumable(run))
        resumed.require_intact()

    @pytest.mark.slow
    def test_a_killed_worker_of_ray_changes_no_bit(self, ray_cluster: None) -> None:
        import ray

        from islands.archipelago.ray_executor import RayExecutor

        # Counters and gradients both.
        config = self.config("white-box", "dct", workers={"count": 2})
        executor = RayExecutor(config)
        pids: list[int] = ray.get([slot.actor.pid.remote() for slot in executor.workers.slots])
        killed: list[int] = []

        def kill(archipelago: Archipelago, progress: Progress) -> None:
            if progress.epoch >= 1 and not killed:
                killed.append(pids.pop())
                os.kill(killed[-1], signal.SIGKILL)

        evolution = evolve(config, executor, on_report=kill)
        assert evolution.reports[-1].losses > 0
        last, expected = evolution.last, in_process(config).last
        assert digest(last) == digest(expected)
        assert_same(last.runs[0].mail.counters, expected.runs[0].mail.counters)

    def test_gradients_are_counted(self) -> None:
        last = in_process(self.config("white-box", "direct", runs=1)).last.runs[0]
        assert last.evaluations == 60 + 12 * 60
        assert {*last.history["operator"]} == {0, 1, 3}

    def test_the_paper_counts_no_children(self, undisturbed: Evolution) -> None:
        assert undisturbed.last.runs[0].mail.counters == ()
