"""Whole runs: real Ray, real stores, and real processes where one is killed, interrupted or starts Ray."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import islands
from islands.classifiers.registry import load_classifier
from islands.cli.main import execute
from islands.errors import StoreError
from islands.store.reader import StoreReader

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[1]
SMALL = {
    "evolve.initial": 20,
    "evolve.children": 20,
    "evolve.generations": 400,
    "evolve.generations_per_epoch": 2,
    "checkpoint.every_s": 0.2,
}
IN_PROCESS = {**SMALL, "workers.executor": "in-process"}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "islands", *map(str, arguments)]


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def settings(values: Mapping[str, object]) -> list[str]:
    return [part for key, value in values.items() for part in ("--set", f"{key}={value}")]


def archive(store: Path | str) -> list[bytes]:
    """Return every byte of all elites and genomes of a store."""
    reader = StoreReader(store)
    parts = []
    for number in range(reader.runs):
        elites = reader.elites(number)
        parts += [
            np.ascontiguousarray(getattr(elites, name)).tobytes() for name in ("ids", "parents", "fitness")
        ]
        parts += [array.tobytes() for _, array in sorted(elites.genomes.items())]
    return parts


def wait_for_checkpoint(store: Path | str, epoch: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if (StoreReader(store).epoch or 0) >= epoch:
                return
        except StoreError:
            pass  # not made yet
        time.sleep(0.05)
    raise AssertionError(f"{store} did not come to epoch {epoch}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that nothing disturbed, made by `islands launch cluster/local.yaml` on Ray."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run("launch", CHECKOUT / "cluster/local.yaml", *settings(SMALL), "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["complete"]
    assert summary["evaluations"] == 20 + 400 * 20
    return folder / "runs/mnist-cppn"


def test_in_process_and_ray_give_the_same_bits(undisturbed: Path, tmp_path: Path) -> None:
    chosen = settings({**IN_PROCESS, "store": tmp_path / "run"})
    assert execute(["launch", str(CHECKOUT / "cluster/local.yaml"), *chosen]) == 0
    assert archive(tmp_path / "run") == archive(undisturbed)


@pytest.mark.parametrize("executor", ["in-process", "ray"])
def test_a_driver_killed_in_mid_run_resumes_to_the_same_bits(
    undisturbed: Path, tmp_path: Path, executor: str
) -> None:
    store = tmp_path / "runs/mnist-cppn"
    chosen = {**SMALL, "workers.executor": executor}
    driver = start("launch", CHECKOUT / "cluster/local.yaml", *settings(chosen), cwd=tmp_path)
    wait_for_checkpoint(store, 3)
    driver.kill()
    driver.communicate()
    assert not StoreReader(store).complete
    assert execute(["resume", str(store), "--set", "workers.executor=in-process"]) == 0
    assert archive(store) == archive(undisturbed)


def test_a_resume_may_raise_the_budget_and_nothing_that_has_meaning(
    undisturbed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, value in {
        "seed": 7,
        "islands.count": 3,
        "encoding.name": "direct",
        "evolve.generations": 2,
    }.items():
        assert execute(["resume", str(undisturbed), "--set", f"{key}={value}"]) == 2
        said = capsys.readouterr().err
        assert key.split(".")[0] in said
        assert said.count("\n") == 1
    assert execute(["resume", str(undisturbed)]) == 2
    assert "--set evolve.generations=" in capsys.readouterr().err


def test_the_first_interrupt_commits_and_says_how_to_go_on(undisturbed: Path, tmp_path: Path) -> None:
    store = tmp_path / "runs/mnist-cppn"
    driver = start("launch", CHECKOUT / "cluster/local.yaml", *settings(IN_PROCESS), cwd=tmp_path)
    wait_for_checkpoint(store, 1)
    driver.send_signal(signal.SIGINT)
    output, _ = driver.communicate(timeout=60)
    assert driver.returncode == 130, output
    assert re.search(r"next +islands resume runs/mnist-cppn", output)
    assert execute(["resume", str(store), *settings({"workers.count": 1})]) == 0
    assert archive(store) == archive(undisturbed)


@pytest.mark.parametrize("encoding", ["cppn", "direct"])
def test_exported_images_score_what_is_stored(encoding: str, tmp_path: Path) -> None:
    """Ten lines that use only the classifier give the stored confidences."""
    found = islands.evolve("lenet-mnist", encoding=encoding, generations=10, store=tmp_path / "run")
    assert execute(["export", str(tmp_path / "run"), str(tmp_path / "out")]) == 0
    classifier = load_classifier("lenet-mnist", device=torch.device("cpu"))
    files = sorted((tmp_path / "out").rglob("*.png"))
    assert len(files) == 10
    for file in files:
        class_ = int(file.name.split("_")[2])
        pixels = torch.tensor(np.asarray(Image.open(file)))[None, None]
        confidence = classifier.predict(pixels).probabilities[0, class_]
        assert abs(confidence - found.confidence[0, class_]) < 1e-4


def test_python_evolves_without_files_and_shows_images() -> None:
    found = islands.evolve("lenet-mnist", generations=10, seed=3, evolve={"children": 20})
    assert found.complete
    assert found.image(3).shape == (28, 28, 1)
    assert found.image(3, size=56).shape == (56, 56, 1)


def test_a_classifier_of_ones_own_can_be_evolved_against() -> None:
    classifier = load_classifier("lenet-mnist", device=torch.device("cpu"))
    found = islands.evolve(classifier, generations=10, evolve={"children": 20})
    assert found.classes == classifier.classes
