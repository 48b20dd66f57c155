"""`launch`, `resume` and `plan` parse, call and print; the stage itself is played by a stand-in."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import islands.runs
from islands.archipelago.progress import Progress
from islands.cli import run_commands
from islands.cli.main import execute
from islands.config import RunConfig
from islands.errors import StoreNotFoundError, WorkersLostError
from islands.experiments.configure import resolve_run_config

SETTINGS = {"pipeline": "custom", "network": {"name": "lenet-mnist"}, "encoding": {"name": "cppn"}}
CONFIG = resolve_run_config({**SETTINGS, "store": "runs/x", "runs": 2})
Capture = pytest.CaptureFixture[str]


def progress(epoch: int) -> Progress:
    confidence = np.full((2, 10), 0.5, np.float32)
    return Progress(
        *(epoch, 20, 10 * epoch, 200 * (epoch + 1), 123.4, confidence, 5.0),
        losses=2 if epoch == 20 else 0,
        generations=200,
    )


@dataclass
class Reader:
    """What the commands read of a store."""

    complete: bool = True
    path: Path = Path("runs/x")


@dataclass
class PlanLike:
    """What the commands read of a plan."""

    stages: tuple[str, ...] = ("evolve",)
    classes: int = 10
    engine: str = "torch: asked for"
    runs: int = 2
    islands: int = 3
    workers: int = 4
    generations: int = 200
    evaluations: int = 40_200
    forwards: int = 402_000
    unmeasured: str | None = None
    seconds: float | None = 5000.0
    archive_bytes: int = 1_500_000
    store_bytes: int = 30_000_000
    worker_bytes: int = 600_000_000
    driver_bytes: int = 12_000_000
    network_bytes: int = 4_000_000
    nodes: int = 2
    node_bytes: int = 1_212_000_000
    between_bytes: int = 2_000_000
    epoch_seconds: float = 12.0


@dataclass
class Stage:
    """Stands in for `islands.runs.launch` and `islands.runs.plan`."""

    reader: Reader = field(default_factory=Reader)
    error: Exception | None = None
    calls: list[Any] = field(default_factory=list)

    def launch(self, config: RunConfig, observe: Callable[[Progress], None]) -> Reader:
        return self._run(observe, config)

    def resume(
        self,
        store: str,
        overrides: Sequence[str],
        observe: Callable[[Progress], None],
        *,
        break_lock: bool,
        at: str | None,
    ) -> Reader:
        words = [*(["--break-lock"] if break_lock else []), *(["--at", at] if at else [])]
        return self._run(observe, store, *overrides, *words)

    def plan(self, configs: list[RunConfig], stages: tuple[str, ...], nodes: int) -> PlanLike:
        self.calls.append((*configs, nodes))
        return PlanLike()

    def _run(self, observe: Callable[[Progress], None], *call: Any) -> Reader:
        self.calls.append(call)
        if self.error:
            raise self.error
        os.write(1, b"(raylet) A worker died\n")
        for epoch in range(-1, 21):
            observe(progress(epoch))
        return self.reader


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stand_in = Stage()
    for name in ("launch", "resume", "plan"):
        monkeypatch.setitem(sys.modules, f"islands.runs.{name}", stand_in)
        monkeypatch.setattr(islands.runs, name, stand_in, raising=False)
    monkeypatch.setattr(
        run_commands, "status", lambda store, as_json: print(json.dumps([str(store), as_json]))
    )
    monkeypatch.setattr(run_commands, "closing", lambda store, seconds: json.dumps([str(store), False]))
    return stand_in


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "run.yaml"
    path.write_text(json.dumps({**SETTINGS, "store": "runs/x"}))
    return str(path)


class TestLaunch:
    def test_hands_over_the_configuration(self, stage: Stage, file: str) -> None:
        assert execute(["launch", file, "--set", "runs=2", "--set", "seed=0"]) == 0
        assert stage.calls == [(CONFIG,)]

    @pytest.mark.usefixtures("stage")
    @pytest.mark.parametrize("as_json", [False, True])
    def test_stdout_holds_the_status_only(self, file: str, as_json: bool, capfd: Capture) -> None:
        """Ray's processes print on stdout, whatever they are told."""
        assert execute(["launch", file, *["--json"] * as_json]) == 0
        captured = capfd.readouterr()
        assert json.loads(captured.out) == ["runs/x", as_json]
        assert "(raylet)" in captured.err

    def test_interrupted_run_is_130(self, stage: Stage, file: str, capfd: Capture) -> None:
        stage.reader = Reader(complete=False)
        assert execute(["launch", file]) == 130
        assert "runs/x" in capfd.readouterr().out

    def test_failed_run_is_1(self, stage: Stage, file: str, capfd: Capture) -> None:
        stage.error = WorkersLostError("9 workers crashed")
        assert execute(["launch", file]) == 1
        assert capfd.readouterr().err == "error: 9 workers crashed\n"

    @pytest.mark.usefixtures("stage")
    def test_progress_in_plain_lines(self, file: str, capfd: Capture) -> None:
        execute(["launch", file, "--progress", "plain"])
        lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("epoch")]
        assert lines == [
            # Before generation 0 is judged nothing is said of cells.
            "epoch 0/20, generation 0, 0 images: 123 images/s, commit in 5 s",
            "epoch 20/20, generation 200, 4,200 images: median 50.00 %, 0 of 20 classes in 2 runs at 90 %,"
            " 123 images/s, commit in 5 s, 2 epochs repeated",
        ]

    @pytest.mark.usefixtures("stage")
    def test_progress_rich(self, file: str, capfd: Capture) -> None:
        execute(["launch", file, "--progress", "rich"])
        last = capfd.readouterr().err.splitlines()[-3:]
        assert last[0].startswith("generation 200 of 200 ")
        assert last[0].endswith(" left")
        assert "".join(last[1:]).startswith("median 50.00 %, 0 of 20 classes in 2 runs at 90 %, 123 images/s")

    @pytest.mark.usefixtures("stage")
    def test_progress_none(self, file: str, capfd: Capture) -> None:
        execute(["launch", file, "--progress", "none"])
        assert capfd.readouterr().err == "(raylet) A worker died\n"


class TestResume:
    def test_hands_over_store_and_overrides(self, stage: Stage) -> None:
        assert execute(["resume", "runs/x", "--set", "evolve.generations=400"]) == 0
        assert stage.calls == [("runs/x", "evolve.generations=400")]

    def test_breaks_a_lock_when_told(self, stage: Stage) -> None:
        assert execute(["resume", "runs/x", "--break-lock"]) == 0
        assert stage.calls == [("runs/x", "--break-lock")]

    def test_goes_back_when_told(self, stage: Stage) -> None:
        assert execute(["resume", "runs/x", "--at", "7"]) == 0
        assert stage.calls == [("runs/x", "--at", "7")]

    def test_missing_store_is_2(self, stage: Stage, capfd: Capture) -> None:
        stage.error = StoreNotFoundError("there is no store at runs/x")
        assert execute(["resume", "runs/x"]) == 2
        assert capfd.readouterr().err == "error: there is no store at runs/x\n"


class TestPlan:
    def test_in_words(self, stage: Stage, file: str, capfd: Capture) -> None:
        assert execute(["plan", file, "--set", "runs=2", "--nodes", "2"]) == 0
        assert stage.calls == [(CONFIG, 2)]
        assert capfd.readouterr().out.splitlines() == [
            "stages          evolve",
            "engine          torch: asked for",
            "archives        2 of 10 classes",
            "islands         3 a run, on 4 workers",
            "generations     200 on each island",
            "images scored   40,200",
            "forward passes  402,000",
            "estimated time  83.3 minutes",
            "archive         1.5 MB uncompressed",
            "store           at most 30.0 MB, with the commits that are kept and records",
            "memory          600 MB a worker, 12.0 MB the driver",
            "network         4.0 MB an epoch at first, later a fraction; an epoch takes 12 seconds",
            "nodes           2: 1,212 MB of memory on the fullest, 2.0 MB an epoch between them at first",
        ]

    @pytest.mark.usefixtures("stage")
    def test_as_json(self, file: str, capfd: Capture) -> None:
        assert execute(["plan", file, "--json"]) == 0
        assert json.loads(capfd.readouterr().out)["evaluations"] == 40_200
