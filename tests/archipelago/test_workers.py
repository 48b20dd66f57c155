"""Workers that come and go change nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from islands.archipelago.driver import Archipelago
from islands.archipelago.progress import Progress
from islands.config import WorkConfig
from islands.errors import ConfigError, WorkersLostError
from tests.archipelago.conftest import Evolution, digest, evolve, small_config

pytestmark = pytest.mark.slow


def test_a_killed_worker_changes_no_bit(undisturbed: Evolution, ray_cluster: None) -> None:
    import ray

    from islands.archipelago.ray_executor import RayExecutor

    config = small_config(workers={"count": 2})
    executor = RayExecutor(config)
    pids: list[int] = ray.get([slot.actor.pid.remote() for slot in executor.workers.slots])
    killed = []

    def kill(archipelago: Archipelago, progress: Progress) -> None:
        if progress.epoch >= 1 and pids:
            killed.append(pids.pop())
            os.kill(killed[-1], signal.SIGKILL)

    evolution = evolve(config, executor, on_report=kill)
    assert killed
    assert evolution.reports[-1].losses > 0
    told = evolution.last.workers
    assert sum(worker.lost_epochs for worker in told) == evolution.reports[-1].losses
    assert 1 <= sum(worker.restarts for worker in told) <= len(killed)
    assert digest(evolution.last) == digest(undisturbed.last)


def test_more_crashes_than_allowed_stop_the_run(ray_cluster: None) -> None:
    import ray

    from islands.archipelago.ray_executor import RayExecutor

    config = small_config(workers={"count": 1, "max_failures": 0})
    executor = RayExecutor(config)

    def kill(archipelago: Archipelago, progress: Progress) -> None:
        ray.kill(executor.workers.slots[0].actor)

    with pytest.raises(WorkersLostError, match="max_failures"):
        evolve(config, executor, on_report=kill)


def test_crashes_with_epochs_done_in_between_are_no_reason_to_stop(
    undisturbed: Evolution, ray_cluster: None
) -> None:
    """A week has more of them than any limit on the whole run would allow."""
    import ray

    from islands.archipelago.ray_executor import RayExecutor

    config = small_config(workers={"count": 1, "max_failures": 1})
    executor = RayExecutor(config)
    killed: list[int] = []

    def kill(archipelago: Archipelago, progress: Progress) -> None:
        if progress.epoch > max(killed, default=-1) and len(killed) < 4:
            killed.append(progress.epoch)
            ray.kill(executor.workers.slots[0].actor)

    evolution = evolve(config, executor, on_report=kill)
    assert len(killed) == 4
    assert evolution.complete
    assert digest(evolution.last) == digest(undisturbed.last)


def test_an_epoch_that_is_never_done_stops_the_run(ray_cluster: None) -> None:
    import ray

    from islands.archipelago.ray_executor import RayExecutor

    config = small_config(
        runs=1,
        islands={"count": 1},
        evolve={"children": 400, "generations": 10_000, "generations_per_epoch": 10_000},
        workers={"count": 1, "max_failures": 2},
    )
    executor = RayExecutor(config)

    def kill(archipelago: Archipelago, progress: Progress) -> None:
        if progress.epoch == 0:
            ray.kill(executor.workers.slots[0].actor)

    with pytest.raises(WorkersLostError, match=r"failed 3 times, more than workers\.max_failures"):
        evolve(config, executor, on_report=kill)


@pytest.mark.parametrize(
    ("workers", "message"),
    [({"gpus": 1, "device": "cpu"}, "asked for 1 x 1 CPU, 1 x 1 GPU"), ({"count": 7}, "asked for 7 x 1 CPU")],
)
def test_more_than_the_cluster_has_is_refused(
    ray_cluster: None, workers: dict[str, Any], message: str
) -> None:
    from islands.archipelago.ray_executor import RayExecutor

    with pytest.raises(ConfigError, match=message):
        RayExecutor(small_config(workers={**workers, "wait_s": 1}))


def test_a_hung_worker_is_killed_and_changes_no_bit(undisturbed: Evolution, ray_cluster: None) -> None:
    import ray

    from islands.archipelago.ray_executor import RayExecutor

    config = small_config(workers={"count": 2, "epoch_timeout_s": 3.0})
    executor = RayExecutor(config)
    pids: list[int] = ray.get([slot.actor.pid.remote() for slot in executor.workers.slots])
    stopped: list[int] = []

    def hang(archipelago: Archipelago, progress: Progress) -> None:
        if progress.epoch >= 1 and not stopped:
            stopped.append(pids[0])
            os.kill(stopped[0], signal.SIGSTOP)

    evolution = evolve(config, executor, on_report=hang)
    assert evolution.reports[-1].losses > 0
    assert digest(evolution.last) == digest(undisturbed.last)


def test_a_lost_node_changes_no_bit() -> None:
    """Its islands go on with the workers of the nodes that are left; it is one failure, though it had two."""
    result = what_prints("tests.archipelago.lose_a_node")
    assert result["losses"] > 0
    assert result["same_bits"]


def test_a_worker_that_joins_takes_islands_and_changes_no_bit() -> None:
    result = what_prints("tests.archipelago.join_a_node")
    assert result["workers_before_and_after"] == [1, 2]
    assert result["same_bits"]


def what_prints(module: str) -> dict[str, Any]:
    """Run a module that has Ray for itself, and return what it prints last."""
    command = [sys.executable, "-m", module]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


@pytest.mark.slow
def test_what_is_asked_of_a_worker_runs_in_a_process_of_its_own(ray_cluster: None) -> None:
    from islands.archipelago.ray_executor import on_a_worker

    config = small_config()
    assert on_a_worker(config, lambda config: config.seed) == config.seed
    assert on_a_worker(config, lambda _: os.getpid()) != os.getpid()

    def fail(config: WorkConfig) -> None:
        raise ConfigError("no such thing")

    with pytest.raises(ConfigError, match="no such thing"):
        on_a_worker(config, fail)
    with pytest.raises(WorkersLostError, match="a worker died"):
        on_a_worker(config, lambda _: os._exit(1))
    assert on_a_worker(config, lambda _: 1) == 1  # its place was given back each time
