from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import zarr

import islands
from islands.classifiers.screened import MARGINS
from islands.cli.main import execute
from islands.errors import NetworkError, StoreError
from islands.evolution.checkpoint import Checkpoint
from islands.runs.verify import TOLERANCES, tolerance, verify
from islands.store import schema
from islands.store.reader import StoreReader
from islands.store.repository import open_repository
from islands.store.writer import StoreWriter


@pytest.fixture(scope="module", params=["cppn", "direct"])
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished store of 2 runs."""
    path = tmp_path_factory.mktemp("verify") / "run"
    islands.evolve(
        "lenet-mnist", encoding=request.param, generations=10, store=path, runs=2, evolve={"children": 20}
    )
    return path


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "run"))


def set_attribute(store: Path, group: str, name: str, value: str) -> None:
    session = open_repository(store).writable_session("main")
    zarr.open_group(session.store, path=group, mode="r+").attrs[name] = value
    session.commit("changed behind the back of Islands")


def falsify(store: Path, run: int, class_: int) -> None:
    """Store another probability, with a hash that fits."""
    with StoreWriter.open(store) as writer:
        checkpoint = writer.load()
        assert checkpoint is not None
        runs = list(checkpoint.runs)
        changed = runs[run].changed.copy()
        changed[class_] = True
        runs[run].elites.probabilities[class_, 0] += 0.25
        runs[run] = replace(runs[run], changed=changed)
        writer.commit(Checkpoint(checkpoint.epoch, tuple(runs)), complete=True)


def test_a_sound_store_is_verified(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = verify(store, sample=None)
    assert (found.elites, found.mismatches) == (20, ())
    assert found.largest_difference <= 1e-4
    assert execute(["verify", str(store), "--sample", "3"]) == 0
    assert capsys.readouterr().out.startswith("scored 6 elites again; largest difference ")


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_low_precision_is_verified_with_what_it_rounds(precision: str, tmp_path: Path) -> None:
    network = {"name": "lenet-mnist", "precision": precision}
    islands.evolve(network, generations=10, store=tmp_path / "run", evolve={"children": 20})
    with StoreWriter.open(tmp_path / "run") as writer:
        checkpoint = writer.load()
        assert checkpoint is not None
        (run,) = checkpoint.runs
        run.elites.probabilities[:2, 0] += [0.004, 0.25]  # as another device may round, and as none does
        run.changed[:2] = True
        writer.commit(checkpoint, complete=True)
    (mismatch,) = verify(tmp_path / "run", sample=None).mismatches
    assert "class 1 " in mismatch


def test_what_is_computed_otherwise_is_told(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(store, sample=1).conditions == ()
    session = open_repository(store).writable_session("main")
    root = zarr.open_group(session.store, mode="r+")
    (record,) = StoreReader(store).conditions
    root.attrs["conditions"] = [{**record, "device": "NVIDIA H200", "batch_size": 256}]
    session.commit("as if made on a GPU")
    assert execute(["verify", str(store), "--sample", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.partition(" is ")[0] for line in lines] == [
        "computed otherwise: device",
        "computed otherwise: batch_size",
    ]
    assert lines[0].endswith("where it was NVIDIA H200")


@pytest.mark.parametrize(
    ("network", "batch"),
    [
        ({"name": "lenet-mnist", "batch_size": 8}, 8),
        ({"name": "lenet-mnist", "batch_size": 8, "screen": "bfloat16"}, 8),
        ({"name": "ensemble:lenet-mnist+svm-mnist", "batch_size": 8}, 8),
        ({"name": "label-only:lenet-mnist", "batch_size": 8}, 8),
    ],
)
def test_a_store_says_in_which_batches_it_was_made(network: Any, batch: int, tmp_path: Path) -> None:
    evolve = {"initial": 10, "children": 10, "generations_per_epoch": 1}
    run = islands.evolve(network, generations=1, store=tmp_path / "run", evolve=evolve).reader
    assert run.conditions[0]["batch_size"] == batch


def test_low_precision_elsewhere_allows_for_what_its_log_odds_may_be_off() -> None:
    worst = max(
        abs(torch.tensor(odds).sigmoid() - torch.tensor(odds + MARGINS["bfloat16"]).sigmoid()).item()
        for odds in (-2.0, -0.5, -0.25, 0.0, 1.0)
    )
    allowed = tolerance("bfloat16", elsewhere=True)
    assert 0.95 * allowed < worst <= allowed
    assert tolerance("bfloat16", elsewhere=False) == TOLERANCES["bfloat16"] < allowed
    # Sums in float32 are the same everywhere, nearly.
    assert tolerance("float32", elsewhere=True) == TOLERANCES["float32"]


def test_a_false_probability_is_found(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    falsify(store, run=1, class_=4)
    assert execute(["verify", str(store), "--all"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert "run 1, class 4" in errors[0]
    assert "by 0.25" in errors[0]
    assert execute(["verify", str(store), "--all", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["mismatches"]) == 1


def test_a_false_hash_is_found(store: Path) -> None:
    set_attribute(store, schema.run_path(0), "digest", "0" * 64)
    found = verify(store)
    assert found.elites == 10
    assert ["run 0" in line for line in found.mismatches] == [True]


def test_an_earlier_checkpoint_can_be_verified(store: Path) -> None:
    epoch = 0
    falsify(store, run=0, class_=1)
    assert verify(store).mismatches
    assert not verify(store, at=str(epoch)).mismatches


def test_another_network_is_refused(store: Path) -> None:
    set_attribute(store, "", "fingerprint", "0" * 64)
    with pytest.raises(NetworkError, match="same weights"):
        verify(store)


def test_nothing_to_verify(store: Path) -> None:
    session = open_repository(store).writable_session("main")
    root = zarr.open_group(session.store, mode="r+")
    root.attrs["stages"] = {schema.STAGE: {"complete": False, "epoch": None}}
    session.commit("as before the first checkpoint")
    with pytest.raises(StoreError, match="nothing to verify"):
        verify(store)


def test_both_options_are_refused(store: Path) -> None:
    assert execute(["verify", str(store), "--all", "--sample", "3"]) == 2
