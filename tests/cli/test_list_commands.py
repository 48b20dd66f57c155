"""What there is to work with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from islands.classifiers.catalogue import class_count
from islands.cli.list_commands import shipped_files
from islands.cli.main import execute
from islands.experiments.catalogue import PIPELINES
from islands.experiments.configure import load_run_config

Capture = pytest.CaptureFixture[str]


class TestInit:
    def test_copies_files_that_are_valid_and_says_what_next(self, tmp_path: Path, capsys: Capture) -> None:
        folder = tmp_path / "new" / "cluster"
        assert execute(["init", str(folder)]) == 0
        files = sorted(folder.glob("*.yaml"))
        assert {file.name for file in files} == {file.name for file in shipped_files()}
        for file in files:
            load_run_config(file)
        assert capsys.readouterr().out.splitlines()[-1] == f"next: islands launch {folder}/local.yaml"

    def test_never_overwrites(self, tmp_path: Path, capsys: Capture) -> None:
        (tmp_path / "local.yaml").write_text("mine")
        assert execute(["init", str(tmp_path)]) == 2
        assert [file.read_text() for file in tmp_path.iterdir()] == ["mine"]
        assert "local.yaml exists" in capsys.readouterr().err

    def test_file_in_the_way(self, tmp_path: Path, capsys: Capture) -> None:
        (tmp_path / "file").touch()
        assert execute(["init", str(tmp_path / "file" / "below")]) == 2
        assert capsys.readouterr().err == f"error: {tmp_path}/file/below: Not a directory\n"


class TestPipelines:
    def test_are_listed(self, capsys: Capture) -> None:
        assert execute(["pipelines"]) == 0
        lines = capsys.readouterr().out.splitlines()
        listed = [line.split()[0] for line in lines]
        assert listed == sorted(listed)
        assert {"custom", "imagenet_cppn", "lenet_pair", "mnist_direct"} <= set(listed)

    def test_as_json(self, capsys: Capture) -> None:
        assert execute(["pipelines", "--json"]) == 0
        listed = {entry["name"]: entry["settings"] for entry in json.loads(capsys.readouterr().out)}
        assert listed["imagenet_cppn"]["evolve"]["generations"] == 5000


class TestNetworks:
    def test_are_listed(self, capsys: Capture) -> None:
        assert execute(["networks"]) == 0
        names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
        assert {"lenet-mnist", "efficientnet-lite0"} <= set(names)

    def test_hold_those_of_all_pipelines(self) -> None:
        experiments = [PIPELINES[name] for name in PIPELINES if name != "custom"]
        for experiment in experiments:
            for settings in (experiment.settings, *experiment.variants.values()):
                own = [settings["network"]] if "network" in settings else []
                for network in (*own, *settings.get("held_out", ())):
                    assert class_count(network["name"]) in (10, 1000)


def test_version(capsys: Capture) -> None:
    assert execute(["version"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
