"""`islands bench` measures what it says; what it finds is never asserted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from islands.bench import machine as stage
from islands.bench.machine import HIDDEN_NODES, population
from islands.bench.simulation import simulate
from islands.bench.timing import interleaved, ratio
from islands.cli.main import execute
from islands.config.resolve import resolve_work_config
from islands.experiments.catalogue import PIPELINES
from tests.encodings.conftest import CASES

SMALL = [
    *("--seconds", "0.1", "--set", "workers.executor=in-process"),
    *("--set", "evolve.children=8", "--set", "evolve.initial=8"),
]


@pytest.fixture(autouse=True)
def few_islands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the simulation of the driver short."""
    monkeypatch.setattr(stage, "simulate", lambda islands, **_: simulate(3, epochs=2))


@pytest.mark.slow
def test_the_efficiency_comes_first_and_a_trace_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace.json"
    assert execute(["bench", "--json", "--trace", str(trace), *SMALL]) == 0
    result = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row["value"] for row in result["rows"]}
    assert list(rows)[:2] == ["efficiency", "efficiency_cpu"]
    assert {
        "forward",
        "bare",
        "roofline",
        "end_to_end",
        "render",
        "vary",
        "insert",
        "memory",
        "driver",
    } <= rows.keys()
    assert all(value > 0 for name, value in rows.items() if name != "memory")
    assert json.loads(trace.read_text())["traceEvents"]


def test_the_table_tells_machine_setting_and_units(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["bench", *SMALL, "--set", "encoding.name=direct"]) == 0
    machine, setting, _, first, *_ = capsys.readouterr().out.splitlines()
    assert f"torch {torch.__version__}" in machine
    assert setting.startswith("direct, lenet-mnist on cpu, float32")
    assert first.startswith("efficiency ")


@pytest.mark.parametrize("generations", [7, 10])
def test_epochs_are_as_long_as_the_machine_is_fast(generations: int) -> None:
    config = resolve_work_config(PIPELINES, "mnist_cppn", ())
    single = stage._single_island(config, generations)
    assert single.evolution.evolve.generations_per_epoch == generations


def test_another_pipeline_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["bench", *SMALL, "--set", "pipeline=mnist_direct"]) == 0
    _, setting, *_ = capsys.readouterr().out.splitlines()
    assert setting.startswith("direct, lenet-mnist on cpu, float32")


@pytest.mark.parametrize(
    ("wrong", "told"), [("network.name=lenet-mnits", "lenet-mnist"), ("pipeline=mnist_dirct", "mnist_direct")]
)
def test_what_does_not_fit_is_told(wrong: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["bench", "--set", wrong]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_drawing_is_measured_with_networks_of_one_size() -> None:
    genomes = population(CASES["cppn-colour"](), 30, torch.device("cpu"))
    hidden = (genomes["functions"] > 0).sum(1) - 3
    assert hidden.tolist() == [HIDDEN_NODES] * 30


def test_work_is_done_in_turns() -> None:
    order: list[str] = []
    times = interleaved(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, torch.device("cpu"), 0, rounds=3
    )
    assert order == ["a", "b"] * 3
    assert len(times["a"].wall) == len(times["b"].cpu) == 3


def test_a_ratio_is_that_of_the_typical_round() -> None:
    assert ratio([1, 2, 90], [1, 1, 10]) == 2


@pytest.mark.slow
def test_many_islands_on_a_network_that_costs_nothing() -> None:
    found = simulate(40, epochs=2)
    assert (found.islands, found.epochs) == (40, 3)
    assert 0 < found.driver_ms * found.islands * found.epochs < 1e3 * found.seconds
