"""Who watches a run is told what happens: with the loggers' own libraries, and what they wrote read back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import islands
from islands.archipelago.progress import Observe, Progress
from islands.config import RunConfig
from islands.config.logger_settings import MlflowLogger, TensorBoardLogger
from islands.errors import ConfigError
from islands.observe.loggers import _library
from islands.observe.metrics import METRICS
from islands.testing import LoggerTests
from tests.archipelago.conftest import ray_cluster  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
EPOCHS = 3
RUN = """
import os, islands
islands.evolve(
    "lenet-mnist", encoding="direct", generations=6, store="run",
    evolve={"initial": 5, "children": 5, "generations_per_epoch": 2},
    loggers={"tensorboard": "board", "mlflow": "file:" + os.path.abspath("tracked"), "wandb": "islands-test"},
)
os._exit(0)  # Icechunk may abort at the interpreter's exit
"""
READ_BOARD = """
import json
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

found = EventAccumulator("board")
found.Reload()
print(json.dumps({tag: [e.step for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}))
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that told all loggers."""
    folder = tmp_path_factory.mktemp("logged")
    python(RUN, folder)
    return folder


def python(code: str, folder: Path) -> str:
    """Run code in a process of its own: these libraries keep state, and warn of what is not ours."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "HOME": str(folder),
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tensorboard_has_every_epoch(logged: Path) -> None:
    steps = json.loads(python(READ_BOARD, logged))
    assert set(steps) == set(METRICS)
    assert steps["median_confidence"][-1] == EPOCHS


def test_mlflow_has_settings_and_metrics(logged: Path) -> None:
    metrics = {file.name: file for file in logged.glob("tracked/*/*/metrics/*")}
    assert set(metrics) == set(METRICS)
    assert metrics["epoch"].read_text().splitlines()[-1].split()[1:] == [f"{EPOCHS}.0", str(EPOCHS)]
    assert [file.read_text() for file in logged.glob("tracked/*/*/params/network.name")] == ["lenet-mnist"]


def test_wandb_writes_offline(logged: Path) -> None:
    [file] = logged.glob("wandb/offline-run-*/run-*.wandb")
    assert b"median_confidence" in file.read_bytes()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_library_is_explained(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"loggers\.{name}.*pip install 'islands\[{name}\]'"):
        _library("no_such_library", name)


def test_a_logger_that_fails_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its server goes away, and is not there in the end either."""
    asked = []

    @contextmanager
    def going_away(settings: MlflowLogger, config: RunConfig) -> Iterator[Observe]:
        def observe(progress: Progress) -> None:
            asked.append(progress.epoch)
            raise ConnectionError(f"no answer from {settings.tracking_uri}")

        yield observe
        raise TimeoutError("still no answer")

    monkeypatch.setattr(MlflowLogger, "open", going_away)
    evolve = {"initial": 5, "children": 5, "generations_per_epoch": 2}
    found = islands.evolve(
        "lenet-mnist", encoding="direct", generations=6, evolve=evolve, loggers={"mlflow": "http://gone"}
    )
    assert found.complete
    assert len(asked) == 1
    assert "mlflow is told no more: no answer from http://gone" in caplog.text
    assert "mlflow could not be closed: still no answer" in caplog.text


def test_a_journal_on_a_full_disk_ends_no_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full here")
    evolve = {"initial": 5, "children": 5, "generations_per_epoch": 2}
    found = islands.evolve(
        "lenet-mnist", encoding="direct", generations=6, evolve=evolve, loggers={"journal": "/dev/full"}
    )
    assert found.complete
    assert "Traceback" not in capfd.readouterr().err
    with pytest.raises(ConfigError, match=r"loggers\.journal: /proc/none/x cannot be written"):
        islands.evolve("lenet-mnist", evolve=evolve, generations=6, loggers={"journal": "/proc/none/x"})


def test_the_journal_has_a_line_for_each_event(tmp_path: Path) -> None:
    store = tmp_path / "run"
    evolve = {"initial": 5, "children": 5, "generations_per_epoch": 2}
    islands.evolve("lenet-mnist", encoding="direct", generations=6, store=store, evolve=evolve)
    events = [json.loads(line) for line in (store / "log.jsonl").read_text().splitlines()]
    assert {event["event"] for event in events} == {"committed"}
    assert events[-1]["epoch"] == EPOCHS
    journal = tmp_path / "journal.jsonl"
    islands.evolve(
        "lenet-mnist",
        encoding="direct",
        generations=6,
        store=tmp_path / "other",
        evolve=evolve,
        islands={"count": 2},
        loggers={"journal": str(journal), "level": "debug"},
    )
    done = [json.loads(line) for line in journal.read_text().splitlines()]
    places = {(e["run"], e["island"], e["epoch"]) for e in done if e["event"] == "epoch done"}
    assert places == {(0, island, epoch) for island in range(2) for epoch in range(EPOCHS + 1)}
    assert not (tmp_path / "other" / "log.jsonl").exists()


@pytest.mark.usefixtures("ray_cluster")
def test_ray_exports_metrics(tmp_path: Path) -> None:
    """As Prometheus would read them."""
    import ray

    islands.evolve(
        "lenet-mnist",
        encoding="direct",
        generations=6,
        store=tmp_path / "run",
        evolve={"initial": 5, "children": 5, "generations_per_epoch": 2},
        workers={"executor": "ray", "count": 1},
    )
    [node] = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    expected = {f"ray_islands_{name}" for name in METRICS}
    for _ in range(60):
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
        if expected <= {line.partition("{")[0] for line in text.splitlines()}:
            break
        time.sleep(0.5)
    assert expected <= {line.partition("{")[0] for line in text.splitlines()}
    assert str(tmp_path / "run") in text


class TestTensorBoard(LoggerTests):
    """The suite that loggers of others pass as well."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> TensorBoardLogger:
        return TensorBoardLogger(folder=str(tmp_path / "board"))
