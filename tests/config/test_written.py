"""What a person writes is what is meant: texts stay texts, and paths are those of a shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import islands
from islands.cli.main import execute
from islands.config import RunConfig
from islands.config.resolve import read_networks
from islands.datasets.evolved import EvolvedImages
from islands.errors import ConfigError, StoreNotFoundError
from islands.experiments.configure import as_written, load_run_config, resolve_run_config


def loaded(tmp_path: Path, *overrides: str, pipeline: str = "mnist_cppn", lines: str = "") -> RunConfig:
    file = tmp_path / "run.yaml"
    file.write_text(f"pipeline: {pipeline}\n{lines or 'store: x'}\n")
    return load_run_config(file, overrides)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PART", "p #1")
    monkeypatch.setenv("DEEP", "$PART")
    monkeypatch.delenv("UNSET", raising=False)
    monkeypatch.chdir(tmp_path)


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "store"),
        [
            ("runs/a #1", "runs/a #1"),
            ("20261127", "20261127"),
            ("2026-11-27", "2026-11-27"),
            ("1e3", "1e3"),
            ("0o7", "0o7"),
            ("on", "on"),
            ("null", "null"),
            ("[a", "[a"),
            ("a: b", "a: b"),
            ("*a", "*a"),
            ("@a", "@a"),
            ("x=y", "x=y"),
            (" a ", "a"),
            ("'a'", "a"),
            ('" a\\t"', " a\t"),
            ("'it''s'", "it's"),
            ("'a' and 'b'", "'a' and 'b'"),
            ('"', '"'),
        ],
    )
    def test_stay_as_they_are(self, tmp_path: Path, text: str, store: str) -> None:
        assert loaded(tmp_path, f"store={text}").store == store

    @pytest.mark.parametrize(("text", "value"), [("null", None), ("", None), ("'null'", "null"), ("7", "7")])
    def test_may_be_null_where_the_schema_has_it(self, tmp_path: Path, text: str, value: str | None) -> None:
        assert loaded(tmp_path, f"loggers.wandb={text}").loggers.wandb == value

    def test_empty_text_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r'^--set store=: store: expected text .*, got ""$'):
            loaded(tmp_path, "store=")

    def test_are_found_in_sections_unions_and_parameters(self, tmp_path: Path) -> None:
        config = loaded(
            tmp_path, "network.name=on", "network.sha256=12345678", "network.view=center", "encoding.name=dct"
        )
        assert (config.network.name, config.network.sha256, config.network.view, config.encoding.name) == (
            *("on", "12345678", "center"),
            "dct",
        )
        given = ("pipeline=retrain_imagenet", "parameters.data=2026 #1", "parameters.epochs=3")
        assert loaded(tmp_path, *given, pipeline="mnist_direct").parameters["data"] == "2026 #1"
        assert loaded(tmp_path, *given).parameters["epochs"] == 3

    def test_other_values_are_yaml(self, tmp_path: Path) -> None:
        config = loaded(
            tmp_path,
            "held_out=[a, {name: b}] # two",
            "network={name: '7'}",
            "seed=0x10",
            "islands.claims=off",
        )
        assert [network.name for network in config.held_out] == ["a", "b"]
        assert (config.network.name, config.seed, config.islands.claims) == ("7", 16, False)
        with pytest.raises(ConfigError, match=r"network\.name: expected text .*, got 7; put it in quotes"):
            loaded(tmp_path, "network={name: 7}")

    def test_networks_of_score(self) -> None:
        texts = ["file:a #1/b: c.py:f", "{name: '7', view: center}", "7"]
        assert [network.name for network in read_networks(texts)] == [texts[0], "7", "7"]


class TestPaths:
    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("~/x", "{home}/x"),
            ("~", "{home}"),
            ("a/~/x", "a/~/x"),
            ("$PART/x", "p #1/x"),
            ("a-${PART}b", "a-p #1b"),
            ("$DEEP", "$PART"),
            ("a$$PART", "a$PART"),
            ("a$ $1", "a$ $1"),
            ("s3://bucket/$UNSET/~", "s3://bucket/$UNSET/~"),
        ],
    )
    def test_of_a_shell_in_files_and_overrides(self, tmp_path: Path, text: str, path: str) -> None:
        expected = path.replace("{home}", str(tmp_path / "home"))
        assert loaded(tmp_path, f"store={text}").store == expected
        assert loaded(tmp_path, lines=f"store: '{text}'").store == expected
        settings = {"pipeline": "mnist_cppn", "store": text}
        assert resolve_run_config(settings, written=True).store == expected
        assert resolve_run_config(settings).store == text

    def test_everywhere(self, tmp_path: Path) -> None:
        home = str(tmp_path / "home")
        config = loaded(
            tmp_path,
            "network.name=ensemble:file:~/a.py:f+label-only:caffe:lenet:$PART/b,~/c",
            "network.weights=~/w.pt",
            "loggers={journal: ~/j, tensorboard: $PART, mlflow: sqlite:///~/m, wandb: ~}",
            lines="store: x\nheld_out: ['file:~/a.py:f', {name: 'exported:~/b'}]",
        )
        assert config.network.name == f"ensemble:file:{home}/a.py:f+label-only:caffe:lenet:p #1/b,{home}/c"
        assert [network.name for network in config.held_out] == [f"file:{home}/a.py:f", f"exported:{home}/b"]
        found = config.loggers
        assert (found.journal, found.tensorboard, found.mlflow) == (f"{home}/j", "p #1", "sqlite:///~/m")
        assert found.wandb is None
        assert config.network.weights == f"{home}/w.pt"
        assert read_networks(["file:~/a.py:f"])[0].name == f"file:{home}/a.py:f"
        for pipeline, key, text in (
            ("retrain_imagenet", "data", "~/p"),
            ("label_only", "surrogates", "[torchscript:~/p]"),
        ):
            value: Any = loaded(tmp_path, f"parameters.{key}={text}", pipeline=pipeline).parameters[key]
            assert f"{home}/p" in str(value)

    def test_a_variable_that_is_not_set(self, tmp_path: Path) -> None:
        told = r"there is no environment variable UNSET; set it, or write \$\$ for a dollar sign"
        with pytest.raises(ConfigError, match=rf"^--set store=\$UNSET/x: store: {told}$"):
            loaded(tmp_path, "store=$UNSET/x")
        with pytest.raises(ConfigError, match=rf"run\.yaml:2:1: store: {told}$"):
            loaded(tmp_path, lines="store: ${UNSET}/x")
        with pytest.raises(ConfigError, match=rf"^--network file:\$UNSET: {told}$"):
            read_networks(["file:$UNSET"])

    def test_what_is_there_as_it_is_written_is_meant(self, tmp_path: Path) -> None:
        (tmp_path / "a$UNSET").mkdir()
        assert loaded(tmp_path, "store=a$UNSET").store == "a$UNSET"

    def test_settings_are_read_again_as_they_were(self, tmp_path: Path) -> None:
        """What goes to a process of the background or to a job."""
        config = loaded(
            tmp_path, "store=a$$PART/$$$$", "network.name=file:$$PART.py:f", "loggers.mlflow=s3://b/$c"
        )
        (tmp_path / "again.yaml").write_text(json.dumps(as_written(config)))
        assert load_run_config(tmp_path / "again.yaml") == config
        assert (config.store, config.loggers.mlflow) == ("a$PART/$$", "s3://b/$c")

    def test_of_commands(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute(["status", "~/none"]) == 2
        assert f"no store at {tmp_path}/home/none;" in capsys.readouterr().err
        for text in ("~/none", "$HOME/none"):
            for look in (islands.open, EvolvedImages):
                with pytest.raises(StoreNotFoundError, match=f"no store at {tmp_path}/home/none;"):
                    look(text)
        (tmp_path / "home").mkdir()
        assert execute(["paper", "--only=nothing", "--out=~/p"]) == 2
        assert execute(["init", "~/files"]) == 0
        assert (tmp_path / "home/files/local.yaml").is_file()
