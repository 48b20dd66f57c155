"""The archive is a function of the configuration, and of nothing else."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from islands.archipelago.driver import Archipelago
from islands.archipelago.executor import InProcessExecutor
from islands.archipelago.host import build_host
from islands.archipelago.progress import Progress
from islands.config import RunConfig, WorkConfig
from tests.archipelago.conftest import (
    Evolution,
    digest,
    evolve,
    in_process,
    recording_host,
    small_config,
    stored_config,
)


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
