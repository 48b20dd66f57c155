"""The doctor finds what is wrong before a run does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from islands.archipelago import ray_executor  # first: it prepares Ray's environment

# isort: split
import ray

from islands.classifiers.lenet import load_lenet
from islands.cli.main import execute
from islands.config import NetworkConfig, RunConfig, WorkConfig
from islands.encodings import cppn
from islands.encodings.cppn import CppnEncoding
from islands.encodings.rendering_cpu import render_on_cpu
from islands.encodings.settings import CppnSettings
from islands.runs import doctor
from islands.runs.diagnosis import diagnose_drawing
from islands.runs.doctor import examine

CPU = torch.device("cpu")

SHUFFLED = """
import torch
from torch import nn
from islands.classifiers.lenet import load_lenet

class Wrong(nn.Module):
    classes, channels, input_size = "0123456789", 1, 28
    {attributes}

    def __init__(self):
        super().__init__()
        self.network = load_lenet().module

    def forward(self, x):
        return {scores}

def build():
    return Wrong()
"""


def config(store: Path, **network: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "pipeline": "custom",
            "store": str(store / "run"),
            "network": network,
            "encoding": {"name": "cppn"},
            "workers": {"executor": "in-process"},
        }
    )


def verdicts(store: Path, **network: Any) -> dict[str, tuple[str, str]]:
    return {found.subject: (found.verdict, found.text) for found in examine(config(store, **network))}


def wrong(folder: Path, scores: str, attributes: str = "") -> str:
    (folder / "wrong.py").write_text(SHUFFLED.format(scores=scores, attributes=attributes))
    return f"file:{folder}/wrong.py:build"


def test_a_sound_run_is_found_sound(tmp_path: Path) -> None:
    found = verdicts(tmp_path, name="lenet-mnist")
    assert {verdict for verdict, _ in found.values()} <= {"ok", "warning"}
    assert "known pictures are classified right" in found["preprocessing"][1]
    assert found["drawing"] == ("ok", "8 images drawn on cpu have the bytes of the CPU")
    assert list(tmp_path.iterdir()) == []


def test_wrong_normalisation_is_found_by_known_digits(tmp_path: Path) -> None:
    name = wrong(tmp_path, "self.network(x)", "mean, std = 0.9, 0.05")
    verdict, text = verdicts(tmp_path, name=name)["preprocessing"]
    assert verdict == "failed"
    assert "applied twice" in text


def test_mean_and_std_of_bytes_are_found(tmp_path: Path) -> None:
    name = wrong(tmp_path, "self.network(x)", "mean, std = 127.5, 58.0")
    verdict, text = verdicts(tmp_path, name=name)["range"]
    assert verdict == "failed"
    assert "not of bytes" in text


def test_scores_that_do_not_depend_on_the_image_are_found(tmp_path: Path) -> None:
    name = wrong(tmp_path, "self.network(x * 0)")
    verdict, text = verdicts(tmp_path, name=name)["range"]
    assert verdict == "failed"
    assert "same scores for black, white and noise" in text


def test_what_a_screen_errs_is_measured(tmp_path: Path) -> None:
    sound = verdicts(tmp_path, name="lenet-mnist", screen="bfloat16")["screen"]
    assert sound[0] == "ok"
    narrow = verdicts(tmp_path, name="lenet-mnist", screen="bfloat16", screen_margin=0.01)["screen"]
    assert narrow[0] == "warning"
    assert "set network.screen_margin to" in narrow[1]


def test_dependence_on_the_batch_is_found(tmp_path: Path) -> None:
    name = wrong(tmp_path, "self.network((x - x.mean(0)))")
    verdict, text = verdicts(tmp_path, name=name)["scores"]
    assert verdict == "failed"
    assert "looks at its neighbours" in text


def test_probabilities_for_logits_are_found(tmp_path: Path) -> None:
    name = wrong(tmp_path, "self.network(x).softmax(1)")
    assert "leave the softmax out" in verdicts(tmp_path, name=name)["scores"][1]


def test_what_was_made_of_a_file_of_weights_is_said(tmp_path: Path) -> None:
    state = load_lenet().module.state_dict()
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "a.pt")
    asked = config(tmp_path, name="lenet-mnist", weights=str(tmp_path / "a.pt"))
    found = [(each.subject, each.verdict) for each in examine(asked) if "stripped 'module'" in each.text]
    assert found == [("network", "warning")]


def test_what_a_gpu_lacks_to_draw_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    encoding = CppnEncoding(CppnSettings(), 3, 8)
    assert diagnose_drawing(encoding, CPU).verdict == "ok"

    def fail(*arguments: Any) -> torch.Tensor:
        raise RuntimeError("Failed to find C compiler")

    def change(*arguments: Any) -> torch.Tensor:
        drawn = render_on_cpu(*arguments)
        drawn[0, 0, 0, 0] += next(calls)
        return drawn

    calls = iter((1, 0))
    for draw, text in ((change, "got 1 of 1536 bytes"), (fail, "RuntimeError: Failed to find C compiler")):
        monkeypatch.setattr(cppn, "renderer_for", lambda device, draw=draw: draw)
        found = diagnose_drawing(encoding, CPU)
        assert found.verdict == "failed"
        assert text in found.text


def test_a_network_that_does_not_load_leaves_the_machine_to_be_checked(tmp_path: Path) -> None:
    found = verdicts(tmp_path, name="no_such_module:build")
    assert found["network"][0] == "failed"
    assert {"device", "store", "disk", "memory"} <= found.keys()


@pytest.mark.parametrize(
    ("name", "verdict", "text"),
    [
        ("linear-mnist", "ok", "known pictures are classified right"),
        ("lenet:987654321", "skipped", "the run begins with that"),
        ("lenet-mnist", "failed", "which is the source network"),
        ("svm-mnist", "failed", "which is held_out.0"),
        ("efficientnet-lite0", "failed", "3 channels; expected 1"),
        ("no_such_module:build", "failed", "no_such_module"),
    ],
)
def test_held_out_networks_are_checked(tmp_path: Path, name: str, verdict: str, text: str) -> None:
    held_out = [NetworkConfig(name="svm-mnist"), NetworkConfig(name=name)]
    both = config(tmp_path, name="lenet-mnist").model_copy(update={"held_out": held_out})
    found = [found for found in examine(both) if found.subject == "held_out.1"][-1]
    assert found.verdict == verdict
    assert text in found.text


@pytest.mark.slow
def test_what_workers_and_scorers_need_of_ray_is_checked(tmp_path: Path) -> None:
    asked = config(tmp_path, name="lenet-mnist").model_dump()
    asked["workers"] = {"count": 1, "executor": "ray", "device": "cpu"}
    asked["held_out"] = [{"name": "svm-mnist"}]
    sound, lacking = (
        {found.subject: found for found in examine(RunConfig.model_validate({**asked, "scorers": scorers}))}
        for scorers in ({}, {"gpus": 3, "device": "cpu"})
    )
    assert sound["ray"].verdict == "ok"
    assert lacking["ray"].verdict == "failed"
    assert "workers and scorers that need 1 CPUs and 3 GPUs" in lacking["ray"].text


def test_networks_are_looked_at_where_workers_with_gpus_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine of the driver need not have the GPUs that workers reserve."""
    looked: list[float] = []

    def on_a_worker(config: WorkConfig, look: Callable[[WorkConfig], Any]) -> Any:
        looked.append(config.workers.gpus)
        return look(config)

    monkeypatch.setattr(ray_executor, "on_a_worker", on_a_worker)
    monkeypatch.setattr(doctor, "connect", lambda *_: False)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0, "GPU": 1.0})
    asked = config(tmp_path, name="lenet-mnist").model_dump()
    for gpus, times in ((0, 0), (0.5, 1)):
        asked["workers"] = {"count": 2, "gpus": gpus, "executor": "ray", "device": "cpu"}
        found = {found.subject: found.verdict for found in examine(RunConfig.model_validate(asked))}
        assert looked == [gpus] * times
        assert (found["device"], found["drawing"], found["ray"]) == ("ok", "ok", "ok")
    asked["workers"]["gpus"], asked["workers"]["device"] = 0, "cuda"
    unreserved = {found.subject: found for found in examine(RunConfig.model_validate(asked))}
    assert unreserved["device"].verdict == "failed"
    assert "reserve no GPU; set gpus" in unreserved["device"].text


@pytest.mark.slow
def test_a_worker_that_finds_no_place_is_told(tmp_path: Path) -> None:
    asked = config(tmp_path, name="lenet-mnist").model_dump()
    asked["workers"] = {"gpus": 9, "executor": "ray"}
    (lacking,) = (each for each in examine(RunConfig.model_validate(asked)) if each.subject == "device")
    assert lacking.verdict == "failed"
    assert "asked for 1 x 1 CPU, 1 x 9 GPU" in lacking.text


def test_a_store_that_exists_is_found(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").touch()
    assert verdicts(tmp_path, name="lenet-mnist")["store"][0] == "failed"


def test_the_command_prints_json_and_fails_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        f"pipeline: mnist_cppn\nstore: {tmp_path}/new\nworkers: {{executor: in-process}}\n"
        "network: {name: no_such_module:build}\n"
    )
    assert execute(["doctor", str(file), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found[0]["verdict"] == "failed"
    assert execute(["doctor", str(file), "--set", "network.name=lenet-mnist"]) == 0
    assert capsys.readouterr().out.startswith("ok       network")
