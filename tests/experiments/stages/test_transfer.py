"""Pipelines of several runs: evolve on each, score on all, compare; nothing is done twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from islands.archipelago.progress import Progress
from islands.classifiers.lenet import trained_folder
from islands.config import RunConfig
from islands.datasets.mnist import Labelled, load_mnist
from islands.errors import ConfigError, NetworkError
from islands.experiments.configure import resolve_run_config, variants_of
from islands.experiments.runner import run_experiment
from islands.runs.plan import plan
from islands.training.digits import train_into, train_missing
from tests.experiments.experiments import link_data

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with MNIST, and LeNets that were trained on a thirtieth of it."""
    folder = tmp_path_factory.mktemp("cache")
    link_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISLANDS_CACHE", str(folder))
        digits = load_mnist("train")
        few = Labelled(digits.images[:2000], digits.labels[:2000])
        for seed in (1, 2):
            train_into(trained_folder(seed), seed, epochs=1, data=few)
    return folder


def config(store: Path, pipeline: str, **settings: Any) -> RunConfig:
    return resolve_run_config(
        {
            "pipeline": pipeline,
            "store": str(store),
            "runs": 2,
            "evolve": {"initial": 20, "children": 20, "generations": 20},
            "workers": {"executor": "in-process"},
            **settings,
        }
    )


def entries(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The transfer of all images, by source and target."""
    found = json.loads((folder / "transfer.json").read_text())["entries"]
    return {(each["source"], each["target"]): each for each in found if each["denominator"] == "all"}


def test_a_pair_is_crossed_resumed_and_not_done_twice(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISLANDS_CACHE", str(cache))
    pair = config(tmp_path / "pair", "lenet_pair")
    reports: list[Progress] = []
    assert run_experiment(pair, reports.append)
    cells = entries(tmp_path / "pair")
    names = ("lenet-mnist", "lenet:1")
    for source in names:
        for target in names:
            assert (cells[source, target]["n"], cells[source, target]["own"]) == (20, source == target)
    assert json.loads((tmp_path / "pair/transfer.json").read_text())["schema_version"] == 1
    assert {file.name for file in (tmp_path / "pair").iterdir()} == {
        *("a", "b", "transfer.csv", "transfer.json", "transfer.png", "transfer.txt"),
        *("experiment.json", "findings.json", "findings.txt", "results"),
    }
    reports.clear()
    written = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "pair").glob("transfer.*")}
    assert run_experiment(pair, reports.append)
    assert not reports
    assert written == {file.name: file.stat().st_mtime_ns for file in (tmp_path / "pair").glob("transfer.*")}
    with pytest.raises(ConfigError, match=r"evolve\.children"):
        run_experiment(
            resolve_run_config(
                {**pair.model_dump(mode="json"), "evolve": {"children": 30, "generations": 20}}
            ),
        )


def test_evolving_for_transfer_compares_one_mean_and_weakest(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISLANDS_CACHE", str(cache))
    assert run_experiment(config(tmp_path / "three", "for_transfer"))
    found = entries(tmp_path / "three").values()
    scored = [entry for entry in found if entry["target"] == "lenet:2" and entry["own"] is False]
    assert [entry["source"] for entry in scored][:3] == [
        "lenet-mnist",
        "ensemble:lenet-mnist+lenet:1",
        "weakest:lenet-mnist+lenet:1",
    ]
    assert all(entry["n"] == 20 for entry in scored[:3])


def test_variants_are_complete_configurations(tmp_path: Path) -> None:
    settings = config(tmp_path / "x", "lenet_pair").model_dump(mode="json")
    found = variants_of(resolve_run_config({**settings, "held_out": ["svm-mnist"]}))
    assert [(v.network.name, [n.name for n in v.held_out]) for v in found.values()] == [
        ("lenet-mnist", ["lenet:1", "svm-mnist"]),
        ("lenet:1", ["lenet-mnist", "svm-mnist"]),
    ]
    assert [v.store for v in found.values()] == [str(tmp_path / "x/a"), str(tmp_path / "x/b")]
    assert variants_of(config(tmp_path / "x", "mnist_cppn")) == {}


def test_a_plan_sums_up(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISLANDS_CACHE", str(cache))
    found = plan(list(variants_of(config(tmp_path / "x", "lenet_pair")).values()), ["train", "evolve"])
    assert (found.runs, found.evaluations) == (4, 4 * (20 + 20 * 20))
    assert found.stages == ("train", "evolve")


def test_a_plan_for_several_nodes(tmp_path: Path) -> None:
    settings = {"islands": {"count": 5}, "workers": {"executor": "in-process", "count": 5}}
    found = plan([config(tmp_path / "x", "mnist_cppn", **settings)], ["evolve"], nodes=3)
    assert found.nodes == 3
    assert found.node_bytes == 2 * found.worker_bytes + found.driver_bytes
    assert found.between_bytes == found.network_bytes * 2 // 3
    assert found.seconds is not None
    assert found.epoch_seconds is not None
    assert found.seconds > found.epoch_seconds > 0


def test_a_lenet_is_trained_where_it_is_missing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from islands.classifiers.registry import load_classifier, resolve_device
    from islands.config import NetworkConfig

    monkeypatch.setenv("ISLANDS_CACHE", str(tmp_path))
    with pytest.raises(NetworkError, match="has not been trained here yet"):
        load_classifier("lenet:1", device=resolve_device("cpu"))
    monkeypatch.setenv("ISLANDS_CACHE", str(cache))
    before = (trained_folder(1) / "lenet-mnist.json").stat().st_mtime_ns
    train_missing([NetworkConfig(name="weakest:lenet-mnist+lenet:1")])
    assert (trained_folder(1) / "lenet-mnist.json").stat().st_mtime_ns == before
    first, second = (load_classifier(f"lenet:{seed}", device=resolve_device("cpu")) for seed in (1, 2))
    assert first.fingerprint != second.fingerprint
