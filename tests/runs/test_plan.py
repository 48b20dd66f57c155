"""What a plan tells is no less than what a run takes."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from islands.cli.main import execute
from islands.config import CheckpointConfig, RunConfig
from islands.deploy.cluster_files import rayjob
from islands.evolution.checkpoint import Checkpoint
from islands.runs.launch import launch
from islands.runs.plan import plan
from islands.store.writer import StoreWriter
from tests.store.samples import make_checkpoint, make_config, make_names

STAGES = ("evolve",)

SHIPPED = Path(__file__).parents[2] / "cluster"


def config(store: Path, **sections: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "pipeline": "custom",
            "store": str(store),
            "network": {"name": "linear-mnist"},
            "encoding": {"name": "direct"},
            "evolve": {"initial": 20, "children": 20, "generations": 16, "generations_per_epoch": 2},
            "workers": {"executor": "in-process"},
            "checkpoint": {"every_s": 0.01},
            **sections,
        }
    )


def size_of(store: Path) -> int:
    return sum(file.stat().st_size for file in store.rglob("*") if file.is_file())


@pytest.mark.parametrize(("encoding", "islands"), [("direct", 1), ("cppn", 2)])
def test_a_store_is_no_larger_than_planned(tmp_path: Path, encoding: str, islands: int) -> None:
    asked = config(tmp_path / "run", encoding={"name": encoding}, islands={"count": islands})
    planned, peak = plan([asked], STAGES), 0

    def watch(_: object) -> None:
        nonlocal peak
        peak = max(peak, size_of(tmp_path / "run"))

    launch(asked, watch)
    peak = max(peak, size_of(tmp_path / "run"))
    assert peak <= planned.store_bytes


@pytest.mark.slow
def test_what_is_kept_is_counted(tmp_path: Path) -> None:
    """Each commit changes everything; what was forgotten stays on the disk until the next sweep."""
    from islands.runs.sizes import SizeBasis, store_bytes

    asked = make_config(tmp_path / "run", runs=1, encoding="direct").model_copy(
        update={"checkpoint": CheckpointConfig(keep=8)}
    )
    checkpoints = [_one_island(make_checkpoint(1, epoch, runs=1, k=20, width=30_000)) for epoch in range(20)]
    genomes = checkpoints[0].runs[0].elites.genomes
    genome = sum(array.shape[1] * array.itemsize for array in genomes.values())
    peak = 0
    with StoreWriter.create(tmp_path / "run", asked, make_names(20), "f", channels=3, size=16) as writer:
        for checkpoint in checkpoints:
            writer.commit(checkpoint, complete=False)
            peak = max(peak, size_of(tmp_path / "run"))
    archive = 20 * (4 * 20 + genome)
    assert peak > 10 * archive
    assert peak <= store_bytes(asked, SizeBasis(20, genome), commits=20)


def _one_island(checkpoint: Checkpoint) -> Checkpoint:
    """Without letters, as of an island alone, and without ancestors: elites are all that weighs."""
    (run,) = checkpoint.runs
    nothing = run.mail.take(np.zeros(len(run.mail.kinds), bool))
    return replace(checkpoint, runs=(replace(run, mail=nothing, ancestors=None),))


PROGRAM = """
import sys
from islands.experiments.configure import resolve_run_config
from islands.memory import peak_memory
from islands.runs.launch import launch
launch(resolve_run_config(__import__("json").loads(sys.argv[1]), "x"))
print(peak_memory())
"""


@pytest.mark.slow
def test_a_run_takes_no_more_memory_than_planned(tmp_path: Path) -> None:
    """Wide genomes: elites of 60 MB, of which a driver holds several copies."""
    (tmp_path / "wide.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    input_size, channels, classes = 8, 3, [f'c{i}' for i in range(200)]\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.weights = torch.nn.Parameter(\n"
        "            torch.randn(192, 200, generator=torch.Generator().manual_seed(1)))\n"
        "    def forward(self, x):\n"
        "        return x.flatten(1) @ self.weights\n"
        "def build():\n"
        "    return Net()\n"
    )
    asked = config(
        tmp_path / "run",
        network={"name": f"file:{tmp_path}/wide.py:build"},
        encoding={"name": "direct", "size": 320},
        evolve={"initial": 20, "children": 20, "generations": 12, "generations_per_epoch": 2},
    )
    planned = plan([asked], STAGES)
    arguments = [sys.executable, "-c", PROGRAM, asked.model_dump_json()]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) <= planned.worker_bytes + planned.driver_bytes


def test_workers_share_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers beyond the CPUs that there are make nothing faster."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    # A second for whatever is measured: the machine's own noise reached the factor that is tested.
    monkeypatch.setattr("islands.runs.plan.time", SimpleNamespace(perf_counter=itertools.count().__next__))
    asked = config(tmp_path / "x", runs=16)
    crowded = asked.model_copy(update={"workers": asked.workers.model_copy(update={"count": 16})})
    (one, two) = (plan([each], STAGES, nodes) for each, nodes in ((crowded, 1), (crowded, 8)))
    assert one.seconds is not None
    assert two.seconds is not None
    # Eight machines with two CPUs each against one with two.
    assert one.seconds == pytest.approx(8 * two.seconds)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is what the file asks for")
def test_a_plan_without_the_gpu_says_what_it_cannot_measure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--set", "network.name=linear-mnist", "--set", "network.view=whole"]
    assert execute(["plan", str(SHIPPED / "gpu.yaml"), *settings]) == 0
    text = capsys.readouterr().out
    assert "unknown: workers.device: got cuda, but this machine offers cpu" in text
    assert "store           at most" in text
    settings += ["--set", "islands.count=2", "--json"]
    assert execute(["plan", str(SHIPPED / "multi-node.yaml"), *settings]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seconds"] is None
    assert found["driver_bytes"] > found["archive_bytes"] > 0


def test_the_head_of_a_rayjob_has_room_for_the_driver() -> None:
    def memory(**encoding: Any) -> int:
        asked = config(Path("/shared/run"), runs=5, network={"name": "m:build"}, encoding=encoding)
        spec = yaml.safe_load(rayjob(asked, 2, "image"))["spec"]["rayClusterSpec"]["headGroupSpec"]
        limits = spec["template"]["spec"]["containers"][0]["resources"]["limits"]
        return int(limits["memory"].removesuffix("Gi"))

    elites = 5 * 1000 * 3 * 256**2
    assert memory(name="direct", size=256) * 2**30 > 6.9e9 > elites
    assert memory(name="cppn") < memory(name="direct", size=64) < memory(name="direct", size=256)
