"""What is said of keys: of each of them, and to people, editors and files alike."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from islands.cli.list_commands import shipped_files
from islands.cli.main import execute
from islands.config.described import commented, described, described_keys, known_keys, of_files
from islands.experiments.catalogue import PIPELINES
from islands.experiments.configure import as_written, load_run_config

Capture = pytest.CaptureFixture[str]

SHIPPED = shipped_files()


@pytest.mark.parametrize("pipeline", [None, *PIPELINES])
def test_every_key_has_a_description(pipeline: str | None) -> None:
    root = described(None if pipeline is None else PIPELINES[pipeline].parameters)
    keys = list(known_keys(root))
    assert {"seed", "network.view", "islands.migration.size", "evolve.emitters.share"} <= set(keys)
    for key in keys:
        for schema in described_keys(root, key.split(".")):
            # The name of an encoding or of an emitter is all that there is to say of it.
            assert "description" in schema or "const" in schema, key


def test_a_description_is_what_stands_below_the_key() -> None:
    (lag,) = described_keys(described(), ["islands", "lag"])
    assert lag["description"] == "Epochs that a parcel travels; waiting for stragglers shrinks as it grows."
    (migration,) = described_keys(described(), ["islands", "migration"])
    assert migration["description"] == "Elites sent as parent candidates, in pagmo's words."


class TestSchemaOfFiles:
    @pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
    def test_takes_what_is_shipped(self, file: Path) -> None:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        schema = of_files(PIPELINES[values["pipeline"]].parameters)
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(values, schema)

    @pytest.mark.parametrize(
        "part",
        [{"encoding": {"size": 64}}, {"network": {"view": "center"}}, {"evolve": None}, {"held_out": ["a"]}],
    )
    def test_takes_parts(self, part: dict[str, Any]) -> None:
        jsonschema.validate({"pipeline": "custom", "store": "x", **part}, of_files())

    @pytest.mark.parametrize(
        "part",
        [
            {"islands": {"cuont": 2}},
            {"encoding": {"sise": 64}},
            {"encoding": {"name": "cppn", "sise": 64}},
            {"islands": {"topology": {"name": "ring", "neighbours": 3}}},
            {"workers": {"device": "gpu"}},
            {"runs": 0},
            {"store": None},
        ],
    )
    def test_refuses_mistakes(self, part: dict[str, Any]) -> None:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"pipeline": "custom", "store": "x", **part}, of_files())


@pytest.mark.parametrize("full", [False, True])
def test_editors_find_the_schema_of_shipped_files(full: bool, tmp_path: Path) -> None:
    assert execute(["init", str(tmp_path), *(["--full"] if full else [])]) == 0
    for file in (*SHIPPED, *(tmp_path / file.name for file in SHIPPED)):
        first = file.read_text(encoding="utf-8").splitlines()[0]
        schema = file.parent / first.removeprefix("# yaml-language-server: $schema=")
        assert json.loads(schema.read_text(encoding="utf-8")) == of_files(), (
            "write it anew: islands config schema > cluster/islands.schema.json"
        )


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_commented_configuration_says_the_same(file: Path, tmp_path: Path) -> None:
    config = load_run_config(file)
    text = commented(as_written(config), described(PIPELINES[config.pipeline].parameters))
    (tmp_path / "full.yaml").write_text(text, encoding="utf-8")
    assert load_run_config(tmp_path / "full.yaml") == config
    assert "# Independent archives (the paper: 5).\nruns: " in text


def test_texts_of_any_kind_are_written_as_they_are(tmp_path: Path) -> None:
    odd = {
        "pipeline": "custom",
        "store": "~/run #1: 'yes'",
        "network": {"name": "lenet-mnist"},
        "encoding": {"name": "cppn"},
        "workers": {"resources": {"accelerator_type:A100": 0.001, "yes": 1}},
        "ray": {"runtime_env": {"env_vars": {"A": "1", "B": "no", "C": "two\nlines"}, "pip": ["a", "b>1"]}},
    }
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(odd), encoding="utf-8")
    config = load_run_config(tmp_path / "odd.yaml")
    (tmp_path / "full.yaml").write_text(commented(as_written(config), described()), encoding="utf-8")
    assert load_run_config(tmp_path / "full.yaml") == config


class TestCommands:
    def test_explain_a_key(self, capsys: Capture) -> None:
        assert execute(["config", "explain", "islands.lag"]) == 0
        assert "Epochs that a parcel travels" in (text := capsys.readouterr().out)
        assert "expected  an integer of at least 1; default 2" in text

    def test_explain_a_section(self, capsys: Capture) -> None:
        assert execute(["config", "explain", "islands"]) == 0
        assert "\n  claims  " in capsys.readouterr().out.replace("claims      ", "claims")

    def test_explain_a_parameter(self, capsys: Capture) -> None:
        words = ["config", "explain", "parameters.settings.decay", "--pipeline", "gradient_ascent"]
        assert execute(words) == 0
        assert "iterations" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("key", "said"),
        [
            ("lag", "did you mean 'islands.lag'?"),
            ("islands.lagg", "did you mean 'islands.lag'?"),
            ("qqq", "`islands config schema` has all of them"),
        ],
    )
    def test_what_is_no_key_is_told(self, key: str, said: str, capsys: Capture) -> None:
        assert execute(["config", "explain", key]) == 2
        assert said in capsys.readouterr().err

    def test_no_pipeline_is_told(self, capsys: Capture) -> None:
        assert execute(["config", "schema", "--pipeline", "mnist_cpn"]) == 2
        assert "did you mean 'mnist_cppn'?" in capsys.readouterr().err

    def test_schema(self, capsys: Capture) -> None:
        assert execute(["config", "schema"]) == 0
        assert json.loads(capsys.readouterr().out) == of_files()

    def test_the_reference_is_what_the_schema_says(self, capsys: Capture) -> None:
        assert execute(["config", "reference"]) == 0
        page = capsys.readouterr().out
        stored = Path(__file__).parents[2] / "docs/reference/configuration.md"
        assert stored.read_text(encoding="utf-8") == page, (
            "islands config reference > docs/reference/configuration.md"
        )
        keys = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
        assert {key.rpartition(".")[2] for key in known_keys(described())} == set(keys)

    def test_show(self, tmp_path: Path, capsys: Capture) -> None:
        file = SHIPPED[0]
        assert execute(["config", "show", str(file), "--set", "seed=7"]) == 0
        (tmp_path / "full.yaml").write_text(capsys.readouterr().out, encoding="utf-8")
        assert load_run_config(tmp_path / "full.yaml") == load_run_config(file, ["seed=7"])

    def test_init_in_full(self, tmp_path: Path) -> None:
        assert execute(["init", str(tmp_path), "--full"]) == 0
        names = {"islands.schema.json", *(file.name for file in SHIPPED)}
        assert {file.name for file in tmp_path.iterdir()} == names
        for file in SHIPPED:
            text = (tmp_path / file.name).read_text(encoding="utf-8")
            assert text.splitlines()[1] == file.read_text(encoding="utf-8").splitlines()[1]
            assert load_run_config(tmp_path / file.name) == load_run_config(file)
