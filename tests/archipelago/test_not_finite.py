"""Images without finite scores: they end a run with a line that names them, or are skipped and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import islands
from islands.archipelago.executor import InProcessExecutor
from islands.archipelago.host import build_host
from islands.archipelago.scorer import build_scorer
from islands.archipelago.scorers import InProcessScorers
from islands.classifiers.registry import load_classifier
from islands.config import NetworkConfig, WorkConfig
from islands.errors import NetworkError
from islands.runs.diagnosis import diagnose_source
from islands.runs.score import score_folder
from islands.store.images import render_elite
from tests.accelerator import pretend
from tests.archipelago.conftest import digest, evolve, in_process, small_config

# Standardised by its own spread, as users do: a picture without spread is not a number then.
NET = """
import torch
from torch import nn
class Net(nn.Module):
    classes, input_size, channels = "abcd", 8, 1
    def __init__(self):
        super().__init__()
        self.least = LEAST
        torch.manual_seed(SEED)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    def forward(self, x):
        spread = x.std((1, 2, 3), keepdim=True)
        return self.layers((x - x.mean((1, 2, 3), keepdim=True)) / spread.where(spread > self.least, 0))
"""


SOFT = """
class Soft(Net):
    def forward(self, x):
        return super().forward(x).softmax(1)
"""


@pytest.fixture
def network(tmp_path: Path) -> str:
    return write(tmp_path / "net.py")


def write(file: Path, least: float = 0.2, seed: int = 0) -> str:
    """Write a network for which pictures of little contrast are no picture; return its name."""
    file.write_text(NET.replace("LEAST", str(least)).replace("SEED", str(seed)))
    return f"file:{file}:Net"


def config_of(network: str, not_finite: str | None = "skip", **sections: Any) -> WorkConfig:
    settings = {"name": network, "not_finite": not_finite}
    return small_config(network=settings, runs=1, islands={"count": 2, "lag": 1}, **sections)


@pytest.mark.parametrize("screen", [None, "bfloat16"])
def test_skipped_images_are_counted_and_take_no_cell_whoever_evolves(
    network: str, screen: str | None
) -> None:
    config = config_of(network)
    config = config.model_copy(update={"network": config.network.model_copy(update={"screen": screen})})
    whole = in_process(config).last
    run = whole.runs[0]
    assert 0 < run.not_finite < run.evaluations
    assert (run.elites.ids >= 0).all()
    assert np.isfinite(run.elites.fitness).all()
    assert digest(in_process(config, workers=2).last) == digest(whole)

    half = config.model_copy(update={"evolve": config.evolve.model_copy(update={"generations": 6})})
    resumed = evolve(config, InProcessExecutor(build_host(config), 1, 1), checkpoint=in_process(half).last)
    assert digest(resumed.last) == digest(whole)
    assert resumed.last.runs[0].not_finite == run.not_finite == resumed.reports[-1].not_finite


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_workers_on_ray_import_and_skip_as_this_process_does(tmp_path: Path) -> None:
    """Two files of one name, each with a neighbour of one name."""
    from islands.archipelago.ray_executor import RayExecutor

    names = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        write(folder / "utils.py", seed=seed)
        (folder / "net.py").write_text("from utils import Net as build")
        names.append(f"file:{folder}/net.py:build")
    config = config_of(f"ensemble:{'+'.join(names)}", workers={"count": 2})
    here = in_process(config).last
    there = evolve(config, RayExecutor(config)).last
    assert digest(there) == digest(here)
    assert there.runs[0].not_finite == here.runs[0].not_finite > 0


@pytest.mark.parametrize("accelerated", [False, True])
def test_the_run_ends_with_a_line_that_names_the_picture(
    tmp_path: Path, accelerated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if accelerated:
        pretend(monkeypatch)
    with pytest.raises(
        NetworkError, match=r"in epoch \d+: .*that cppn drew in generation \d+, first to a "
    ) as e:
        in_process(config_of(write(tmp_path / "net.py", least=0.05), None))
    assert "network.not_finite to skip" in str(e.value)


def test_nothing_is_evolved_from_nothing(tmp_path: Path) -> None:
    network = write(tmp_path / "net.py", least=9)
    with pytest.raises(NetworkError, match="not finite to 4 of 4 pictures"):
        build_host(config_of(network))


def test_held_out_networks_take_such_images_for_nothing(network: str, tmp_path: Path) -> None:
    other = write(tmp_path / "other.py", least=0.3, seed=1)
    config = config_of(network, held_out=[other])
    scorers = InProcessScorers(build_scorer(config, 1, 8), 1, 1)
    evolution = evolve(config, InProcessExecutor(build_host(config), 1, 1), scorers=scorers)
    assert evolution.complete
    (scores,) = [scores for said in evolution.scores for scores in said][-1].runs
    nothing = scores.top1 < 0
    assert 0 < nothing.sum() < 4
    assert (scores.target_rank[nothing] == 4).all()
    assert not scores.target_probability[nothing].any()
    assert scores.top1_probability[~nothing].all()


def test_a_held_out_network_that_cannot_be_used_is_known_before_evolution(
    network: str, tmp_path: Path
) -> None:
    (tmp_path / "soft.py").write_text(f"from torch import nn\nfrom net import Net\n{SOFT}")
    with pytest.raises(NetworkError, match="look like those of a softmax"):
        build_scorer(config_of(network, held_out=[f"file:{tmp_path}/soft.py:Soft"]), 1, 8)


def test_combined_networks_skip_what_a_member_skips(network: str, tmp_path: Path) -> None:
    other = write(tmp_path / "other.py", least=0, seed=1)
    images = torch.randint(256, (3, 1, 8, 8), dtype=torch.uint8)
    images[1] //= 16
    for name in (f"ensemble:{other}+{network}", f"weakest:{other}+{network}", f"label-only:{network}"):
        found = load_classifier(name, not_finite="skip", device=torch.device("cpu")).predict(images)
        assert found.finite.tolist() == [True, False, True], name
        assert not found.probabilities[1].any()
        with pytest.raises(NetworkError, match="to 1 of 3 pictures, first to a picture of noise"):
            load_classifier(name, device=torch.device("cpu")).predict(images)


def test_the_store_knows_how_many_were_skipped(network: str, tmp_path: Path) -> None:
    results = islands.evolve(
        {"name": network, "not_finite": "skip"},
        generations=10,
        evolve={"initial": 20, "children": 20},
        store=tmp_path / "run",
    )
    (count,) = results.query("select not_finite from runs")["not_finite"]
    assert count == results.reader.not_finite(0) > 0
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(render_elite(results.reader, 0)[..., 0]).save(folder / "map_0_0_1.png")
    Image.new("L", (8, 8)).save(folder / "map_0_1_1.png")
    seen = score_folder(folder, [NetworkConfig(name=network)])
    assert [name is None for name in seen["top1_name"]] == [False, True]


@pytest.mark.parametrize(("not_finite", "verdict"), [(None, "failed"), ("skip", "warning")])
def test_the_doctor_says_so(network: str, not_finite: str | None, verdict: str) -> None:
    _, found = diagnose_source(config_of(network, not_finite))
    (scores,) = [each for each in found if each.subject == "scores"]
    assert scores.verdict == verdict
    assert "a uniform picture (all pixels 0)" in scores.text
