"""Scorers look on: whatever becomes of them, evolution gives the same bits and waits for nothing."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import islands
from islands.archipelago.driver import Archipelago
from islands.archipelago.executor import InProcessExecutor
from islands.archipelago.host import build_host
from islands.archipelago.messages import NetworkFacts
from islands.archipelago.progress import Progress
from islands.archipelago.scorer import Scorer, build_scorer
from islands.archipelago.scorers import InProcessScorers
from islands.archipelago.start import build_scorers
from islands.classifiers.contract import Classifier, Prediction
from islands.classifiers.registry import load_classifier
from islands.config import NetworkConfig, WorkConfig
from islands.encodings.factory import build_encoding
from islands.errors import ConfigError, IslandsError, WorkersLostError
from islands.evolution.checkpoint import Checkpoint
from islands.evolution.scores import HeldOutScores
from islands.runs.score import score_store
from tests.archipelago.conftest import Evolution, digest, evolve, small_config

pytestmark = pytest.mark.slow

HELD_OUT = ["linear-mnist", "svm-mnist"]


def scored_config(**sections: Any) -> WorkConfig:
    return small_config(held_out=HELD_OUT, checkpoint={"every_s": 1e-6}, **sections)


def executor(config: WorkConfig) -> InProcessExecutor:
    return InProcessExecutor(build_host(config), workers=1, threads=1)


class Hindered:
    """A network that does something else before each prediction."""

    def __init__(self, classifier: Classifier, hinder: Any) -> None:
        self._classifier = classifier
        self._hinder = hinder

    def __getattr__(self, name: str) -> object:
        return getattr(self._classifier, name)

    def predict(self, images: Tensor) -> Prediction:
        self._hinder()
        return self._classifier.predict(images)


def hindered_scorers(config: WorkConfig, hinder: Any) -> InProcessScorers:
    networks = [load_classifier(n.name, device=torch.device("cpu")) for n in config.held_out]
    scorer = Scorer(build_encoding(config.encoding, 1, 28), [Hindered(n, hinder) for n in networks])  # type: ignore[misc]
    return InProcessScorers(scorer, count=1, threads=1)


def final_scores(evolution: Evolution) -> dict[str, HeldOutScores]:
    """Return what was committed last of each network, as a store would hold it."""
    return {network.name: network for commit in evolution.scores for network in commit}


def assert_complete(config: WorkConfig, evolution: Evolution) -> None:
    """Check that all elites of the last checkpoint are scored, and that a fresh scorer says the same."""
    found = final_scores(evolution)
    assert list(found) == HELD_OUT
    networks = [load_classifier(name, device=torch.device("cpu")) for name in HELD_OUT]
    encoding = build_encoding(config.encoding, 1, 28)
    for network, classifier in zip(found.values(), networks, strict=True):
        for scores, run in zip(network.runs, evolution.last.runs, strict=True):
            np.testing.assert_array_equal(scores.ids, run.elites.ids)
            assert (scores.epochs >= run.elites.epochs).all()
            images = encoding.render(encoding.from_arrays(run.elites.genomes, torch.device("cpu")))
            probabilities = classifier.predict(images).probabilities.numpy()
            expected = probabilities[np.arange(10), run.elites.classes]
            np.testing.assert_allclose(scores.target_probability, expected, rtol=1e-4, atol=1e-6)
            np.testing.assert_array_equal(scores.top1, probabilities.argmax(1))


def test_elites_are_scored_while_they_evolve(undisturbed: Evolution) -> None:
    config = scored_config()
    scorers = build_scorers(config, build_host(config).facts)
    evolution = evolve(config, executor(config), scorers=scorers)
    assert digest(evolution.last) == digest(undisturbed.last)
    assert_complete(config, evolution)
    assert evolution.reports[-1].unscored == 0


def test_a_scorer_however_slow_delays_nothing(undisturbed: Evolution) -> None:
    """It does not finish a single task before the last checkpoint is committed."""
    config = scored_config()
    complete_commit = threading.Event()
    waited: list[bool] = []

    def on_commit(checkpoint: Checkpoint, complete: bool) -> None:
        if complete:
            complete_commit.set()

    scorers = hindered_scorers(config, lambda: waited.append(complete_commit.wait(60)))
    evolution = evolve(config, executor(config), scorers=scorers, on_commit=on_commit)
    assert all(waited)
    assert len(evolution.commits) > 2
    assert not any(evolution.scores[: len(evolution.commits)])
    assert digest(evolution.last) == digest(undisturbed.last)
    assert_complete(config, evolution)


def test_late_scores_name_the_checkpoint_that_they_are_of() -> None:
    """What was scored of the first checkpoint comes when the second has replaced some elites."""
    config = scored_config()
    second_commit = threading.Event()

    def on_commit(checkpoint: Checkpoint, complete: bool) -> None:
        if checkpoint.epoch > 0:
            second_commit.set()

    scorers = hindered_scorers(config, lambda: second_commit.wait(60))
    evolution = evolve(config, executor(config), scorers=scorers, on_commit=on_commit)
    by_epoch = {checkpoint.epoch: checkpoint for checkpoint in evolution.commits}
    seen = 0
    for commit in evolution.scores:
        for network in commit:
            for run, scores in enumerate(network.runs):
                for row in np.flatnonzero(scores.ids >= 0):
                    elites = by_epoch[int(scores.epochs[row])].runs[run].elites
                    assert elites.ids[row] == scores.ids[row]
                    seen += scores.ids[row] != evolution.last.runs[run].elites.ids[row]
    assert seen > 0


def test_a_failing_network_stops_the_scoring_alone(undisturbed: Evolution) -> None:
    config = scored_config()

    def fail() -> None:
        raise ZeroDivisionError("made to fail")

    commits: list[Checkpoint] = []
    with pytest.raises(IslandsError, match=r"scoring on held-out networks failed: ZeroDivisionError"):
        evolve(
            config,
            executor(config),
            scorers=hindered_scorers(config, fail),
            on_commit=lambda checkpoint, complete: commits.append(checkpoint),
        )
    assert digest(commits[-1]) == digest(undisturbed.last)


def test_a_stop_does_not_wait_for_scores() -> None:
    config = scored_config()
    never = threading.Event()

    def stop(archipelago: Archipelago, progress: Progress) -> None:
        if progress.epoch == progress.epochs:
            archipelago.stop()

    try:
        evolution = evolve(
            config, executor(config), scorers=hindered_scorers(config, never.wait), on_report=stop
        )
    finally:
        never.set()
    assert evolution.complete
    assert not any(evolution.scores)


def test_a_resume_scores_only_what_is_new() -> None:
    config = scored_config()
    tasks: list[int] = []
    evolution = evolve(config, executor(config), scorers=hindered_scorers(config, lambda: tasks.append(1)))
    assert tasks
    last = replace(evolution.last, scores=tuple(final_scores(evolution).values()))
    tasks.clear()
    evolve(
        config, executor(config), checkpoint=last, scorers=hindered_scorers(config, lambda: tasks.append(1))
    )
    assert not tasks


def test_a_killed_scorer_changes_no_bit(undisturbed: Evolution, ray_cluster: None) -> None:
    import ray

    from islands.archipelago.ray_scorers import RayScorers

    config = scored_config()
    scorers = RayScorers(config, channels=1, size=28)
    first = scorers.scorers.slots[0].actor
    pid: int = ray.get(first.pid.remote())
    killed: list[Any] = []

    def kill(archipelago: Archipelago, progress: Progress) -> None:
        """Kill the first scorer, and the one that replaced it."""
        if progress.unscored and not killed:
            os.kill(pid, signal.SIGKILL)
            killed.append(first)
        elif len(killed) == 1 and scorers.scorers.slots[0].actor is not first:
            killed.append(scorers.scorers.slots[0].actor)
            ray.kill(killed[-1])

    evolution = evolve(config, executor(config), scorers=scorers, on_report=kill)
    assert len(killed) == 2
    assert digest(evolution.last) == digest(undisturbed.last)
    assert_complete(config, evolution)


def test_scorers_that_die_too_often_end_the_scoring_alone(undisturbed: Evolution, ray_cluster: None) -> None:
    import ray

    from islands.archipelago.ray_scorers import RayScorers

    config = scored_config(workers={"max_failures": 0})
    scorers = RayScorers(config, channels=1, size=28)
    commits: list[Checkpoint] = []
    ray.kill(scorers.scorers.slots[0].actor)
    with pytest.raises(WorkersLostError, match="scorers failed 1 times, more than"):
        evolve(
            config,
            executor(config),
            scorers=scorers,
            on_commit=lambda checkpoint, complete: commits.append(checkpoint),
        )
    assert digest(commits[-1]) == digest(undisturbed.last)


def test_ray_scores_a_store_as_this_process_does(tmp_path: Path, ray_cluster: None) -> None:
    store, networks = tmp_path / "run", [NetworkConfig(name=name) for name in HELD_OUT]
    islands.evolve("lenet-mnist", generations=10, store=store, evolve={"initial": 20, "children": 20})
    here = score_store(store, networks, into_store=False, full=True)
    on_ray = score_store(store, networks, into_store=False, full=True, executor="ray")
    assert here.keys() == on_ray.keys()
    assert len(here["id"]) == 20
    for name, column in here.items():
        np.testing.assert_array_equal(column, on_ray[name])


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (["linear-mnist", "lenet-mnist"], r"held_out\.1: got lenet-mnist, which is the source network"),
        (["svm-mnist", "svm-mnist"], r"held_out\.1: got svm-mnist, which is held_out\.0"),
        (["efficientnet-lite0"], "with 3 channels; expected 1"),
    ],
)
def test_networks_that_cannot_be_held_out_are_refused(held_out: list[str], message: str) -> None:
    config = small_config(held_out=held_out, workers={"executor": "in-process"})
    with pytest.raises(ConfigError, match=message):
        build_scorers(config, build_host(config).facts)


def test_a_network_of_other_classes_is_refused() -> None:
    config = small_config(held_out=["linear-mnist"], workers={"executor": "in-process"})
    source = NetworkFacts(tuple("012345678x"), "f" * 64, 1, 28)
    with pytest.raises(ConfigError, match="whose class 9 is '9'; expected 'x'"):
        build_scorers(config, source)


def test_a_scorer_knows_its_networks() -> None:
    facts = build_scorer(scored_config(), channels=1, size=28).facts
    assert [(len(each.classes), each.channels, each.size) for each in facts] == [(10, 1, 28)] * 2
