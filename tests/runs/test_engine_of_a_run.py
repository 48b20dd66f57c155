"""A run says what ran its network, and goes on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from islands.config import RunConfig, stored_network_config, stored_run_config
from islands.runs.diagnosis import diagnose_source
from islands.runs.launch import launch
from islands.runs.plan import plan
from islands.runs.resume import launch_or_resume, resume
from islands.runs.verify import verify
from islands.store.reader import StoreReader
from islands.store.repository import open_repository
from tests.optional import needs_openvino

pytestmark = needs_openvino

Capture = pytest.CaptureFixture[str]


def config(store: Path, engine: str = "auto", generations: int = 4) -> RunConfig:
    return RunConfig.model_validate(
        {
            "pipeline": "mnist_cppn",
            "store": str(store),
            "network": {"name": "lenet-mnist", "engine": engine},
            "encoding": {"name": "cppn"},
            "evolve": {
                "initial": 20,
                "children": 20,
                "generations": generations,
                "generations_per_epoch": 2,
            },
            "held_out": ["linear-mnist"],
            "workers": {"executor": "in-process"},
        }
    )


def make_old(store: Path) -> None:
    """Take from a store on torch what an earlier version did not write."""
    session = open_repository(store).writable_session("main")
    root = zarr.open_group(session.store, mode="r+")
    values: Any = root.attrs["config"]
    root.attrs["config"] = as_before(values)
    conditions: Any = root.attrs["conditions"]
    root.attrs["conditions"] = [
        {key: value for key, value in record.items() if "engine" not in key} for record in conditions
    ]
    session.commit("as an earlier version wrote it")


def as_before(values: dict[str, Any]) -> dict[str, Any]:
    def without(network: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in network.items() if key != "engine"}

    held_out = [without(each) for each in values["held_out"]]
    return {**values, "network": without(values["network"]), "held_out": held_out}


def bits(store: Path) -> tuple[bytes, ...]:
    elites = StoreReader(store).elites(0)
    return elites.probabilities.tobytes(), np.asarray(elites.ids).tobytes()


def test_a_configuration_of_before_means_torch(tmp_path: Path) -> None:
    new = config(tmp_path / "run").model_dump(mode="json")
    old = stored_run_config(as_before(new))
    assert (old.network.engine, old.held_out[0].engine) == ("torch", "torch")
    assert stored_run_config(new).network.engine == "auto"
    assert stored_network_config({"name": "lenet-mnist"}).engine == "torch"


def test_doctor_and_plan_say_what_runs_the_network_and_why(tmp_path: Path) -> None:
    source, found = diagnose_source(config(tmp_path / "run"))
    (text,) = [each.text for each in found if each.subject == "engine"]
    assert source is not None
    assert text.startswith("OpenVINO ")
    assert "its log-odds are within" in text
    assert plan([config(tmp_path / "run")], ["evolve"]).engine == text
    on_torch = plan([config(tmp_path / "run", "torch")], ["evolve"])
    assert on_torch.engine == "torch: network.engine names it"


@pytest.mark.slow
def test_a_store_of_before_goes_on_with_torch_and_its_bits(tmp_path: Path, capsys: Capture) -> None:
    launch(config(tmp_path / "whole", "torch"))
    for name in ("resumed", "launched again"):
        launch(config(tmp_path / name, "torch", generations=2))
        make_old(tmp_path / name)
    resume(str(tmp_path / "resumed"), ["evolve.generations=4"])
    launch_or_resume(config(tmp_path / "launched again"))
    assert "float sums" not in capsys.readouterr().err
    assert bits(tmp_path / "resumed") == bits(tmp_path / "launched again") == bits(tmp_path / "whole")


@pytest.mark.slow
def test_a_resume_on_another_engine_says_so(tmp_path: Path, capsys: Capture) -> None:
    store = tmp_path / "run"
    launch(config(store, "torch", generations=2))
    make_old(store)
    resume(str(store), ["evolve.generations=4", "network.engine=openvino"])
    said = capsys.readouterr().err
    assert "from epoch 2 on, engine is OpenVINO" in said
    assert "where it was torch: float sums depend on it" in said
    before, after = StoreReader(store).conditions
    assert "engine" not in before
    assert after["engine"].startswith("OpenVINO")
    assert verify(store).mismatches == ()


@pytest.mark.slow
def test_a_run_on_openvino_repeats_and_records_it(tmp_path: Path) -> None:
    for name in ("first", "second"):
        launch(config(tmp_path / name, "openvino"))
    launch(config(tmp_path / "resumed", "openvino", generations=2))
    resume(str(tmp_path / "resumed"), ["evolve.generations=4"])
    assert bits(tmp_path / "first") == bits(tmp_path / "second") == bits(tmp_path / "resumed")
    (record,) = StoreReader(tmp_path / "resumed").conditions
    assert record["engine"].startswith("OpenVINO")
    assert record["scorers.engine"] == record["engine"]
    assert {"instructions", "batch_size", "engine_reason"} <= record.keys()
    assert verify(tmp_path / "first").mismatches == ()
