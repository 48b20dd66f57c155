"""A run scores as many images as its file says, whatever the number of its islands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zarr

from islands.cli.list_commands import cluster_folder
from islands.cli.main import execute
from islands.config import RunConfig, stored_run_config
from islands.config.changes import require_unchanged
from islands.errors import ConfigError
from islands.experiments.configure import load_run_config, resolve_run_config, variants_of
from islands.experiments.findings.evidence import read_config
from islands.experiments.runner import run_experiment
from islands.runs.launch import launch
from islands.runs.plan import plan
from islands.runs.resume import resume
from islands.store.reader import StoreReader
from islands.store.repository import open_repository
from tests.experiments.experiments import quiet

Capture = pytest.CaptureFixture[str]


def config(store: Path, islands: int, **evolve: Any) -> RunConfig:
    usual = {"initial": 20, "children": 11, "generations": 4, "generations_per_epoch": 2}
    return resolve_run_config(
        {
            "pipeline": "custom",
            "store": str(store),
            "network": {"name": "linear-mnist"},
            "encoding": {"name": "direct"},
            "evolve": usual | evolve,
            "islands": {"count": islands},
            "workers": {"executor": "in-process"},
        }
    )


def as_before(values: dict[str, Any]) -> dict[str, Any]:
    """Return a stored configuration as it was before the budget had a unit."""
    evolve = {key: value for key, value in values["evolve"].items() if key != "budget_per"}
    return {**values, "evolve": evolve}


def make_old(store: Path) -> None:
    session = open_repository(store).writable_session("main")
    root = zarr.open_group(session.store, mode="r+")
    values: Any = root.attrs["config"]
    root.attrs["config"] = as_before(values)
    session.commit("as before")


def bits(store: Path | str) -> list[bytes]:
    reader = StoreReader(store)
    elites = reader.elites(0)
    return [elites.confidence.tobytes(), elites.ids.tobytes(), reader.curves(0).tobytes()]


@pytest.mark.parametrize("islands", [1, 3, 10])
def test_islands_share_the_budget_of_a_run(islands: int, tmp_path: Path) -> None:
    settings = config(tmp_path / "run", islands)
    reader = launch(settings)
    assert reader.evaluations(0) == settings.evolution.images_by(4) == 20 + 4 * 11
    assert plan([settings], ["evolve"]).evaluations == 20 + 4 * 11
    shares = [settings.evolution.children_of(island) for island in range(islands)]
    assert sum(shares) == 11
    assert shares == sorted(shares, reverse=True)
    assert max(shares) - min(shares) <= 1


@pytest.mark.slow
def test_more_images_are_scored_where_that_is_asked_for(tmp_path: Path) -> None:
    settings = config(tmp_path / "island", 3, budget_per="island")
    assert launch(settings).evaluations(0) == plan([settings], ["evolve"]).evaluations == 3 * (20 + 4 * 11)
    launch(config(tmp_path / "run", 3, initial=60, children=33))
    assert bits(tmp_path / "island") == bits(tmp_path / "run")


@pytest.mark.parametrize(("key", "images"), [("children", 2), ("initial", 1)])
def test_too_few_images_for_the_islands(key: str, images: int, tmp_path: Path, capsys: Capture) -> None:
    arguments = ("--set", f"evolve.{key}={images}", "--set", "islands.count=3")
    file = tmp_path / "run.yaml"
    file.write_text(f"pipeline: mnist_cppn\nstore: {tmp_path}/run\n")
    assert execute(["launch", str(file), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"evolve.{key} is {images} for a run of 3 islands; expected at least 3" in line
    assert not (tmp_path / "run").exists()
    assert execute(["plan", str(file), *arguments]) == 2


@pytest.mark.slow
def test_an_old_store_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    """It counted images of each island, and did not say so."""
    launch(config(tmp_path / "whole", 3, budget_per="island"))
    launch(config(tmp_path / "old", 3, budget_per="island", generations=2))
    make_old(tmp_path / "old")
    assert StoreReader(tmp_path / "old").config.evolve.budget_per == "island"
    reader = resume(str(tmp_path / "old"), ["evolve.generations=4"])
    assert reader.evaluations(0) == 3 * (20 + 4 * 11)
    assert reader.config.evolve.budget_per == "island"
    assert bits(tmp_path / "old") == bits(tmp_path / "whole")


def test_an_old_store_may_have_had_fewer_children_than_islands(tmp_path: Path) -> None:
    values = config(tmp_path / "run", 3, budget_per="island", children=2, initial=2).model_dump(mode="json")
    assert stored_run_config(as_before(values)).evolution.children_of(2) == 2


@pytest.mark.slow
def test_an_old_experiment_goes_on(tmp_path: Path) -> None:
    """One archive of 20 images a generation, and ten islands of which each had 2."""
    settings = {
        "pipeline": "single_target",
        "store": str(tmp_path / "run"),
        "runs": 1,
        "evolve": {"initial": 20, "children": 20, "generations": 2, "generations_per_epoch": 2},
        "workers": {"executor": "in-process"},
    }
    new = resolve_run_config(settings)
    assert run_experiment(new, say=quiet)
    described = tmp_path / "run" / "experiment.json"
    described.write_text(json.dumps(as_before(json.loads(described.read_text()))))
    for variant in variants_of(new):
        make_old(tmp_path / "run" / variant)
    store = open_repository(tmp_path / "run" / "one_at_a_time").writable_session("main")
    root = zarr.open_group(store.store, mode="r+")
    values: Any = root.attrs["config"]
    root.attrs["config"] = {**values, "evolve": {**values["evolve"], "initial": 2, "children": 2}}
    store.commit("as before")
    assert run_experiment(new, say=quiet)
    assert read_config(tmp_path / "run") == new


def test_another_budget_is_another_run(tmp_path: Path) -> None:
    old = stored_run_config(as_before(config(tmp_path / "run", 3).model_dump(mode="json")))
    with pytest.raises(ConfigError, match=r"evolve\.budget_per: got run, .* with island, which scores 33"):
        require_unchanged(old, config(tmp_path / "run", 3))
    require_unchanged(old, config(tmp_path / "run", 3, initial=60, children=33))


@pytest.mark.parametrize("name", ["gpu", "multi-gpu", "multi-node"])
def test_cluster_files_have_the_budget_of_the_paper(name: str) -> None:
    settings = load_run_config(cluster_folder() / f"{name}.yaml")
    assert (settings.runs, settings.evolution.images_by(5000)) == (5, 400 + 400 * 5000)
    assert settings.evolve.generations == 5000
    children = [settings.evolution.children_of(island) for island in range(settings.islands.count)]
    assert sum(children) == 400
