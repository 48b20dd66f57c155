"""Whole searches by name: over a pipeline's settings, below a file's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from islands.cli.list_commands import shipped_files
from islands.cli.main import execute
from islands.config import EvolveConfig, RunConfig
from islands.config.resolve import lay_over
from islands.encodings.settings import ENCODINGS, CppnSettings
from islands.errors import ConfigError
from islands.experiments.configure import load_run_config, resolve_run_config
from islands.search.presets import PRESETS, settings_of

Capture = pytest.CaptureFixture[str]


def resolved(*overrides: str, **settings: Any) -> RunConfig:
    return resolve_run_config({"pipeline": "imagenet_cppn", "store": "x", **settings}, overrides=overrides)


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("encoding", ENCODINGS.built_in)
def test_every_preset_fits_every_encoding(preset: str, encoding: str) -> None:
    config = resolve_run_config(
        {
            "pipeline": "custom",
            "store": "x",
            "network": {"name": "lenet-mnist"},
            "encoding": {"name": encoding},
            "evolve": {"preset": preset},
        }
    )
    found = config.model_dump(mode="json")
    for section, values in settings_of(preset, encoding).items():
        for key, value in values.items():
            if isinstance(value, dict):
                assert found[section][key] == found[section][key] | value
            elif key != "emitters":
                assert found[section][key] == value
    names = [
        emitter["name"] for emitter in settings_of(preset, encoding).get("evolve", {}).get("emitters", [])
    ]
    assert [emitter.name for emitter in config.evolve.emitters] == (names or ["mutation"])


def test_the_paper_is_the_default_and_sets_nothing() -> None:
    config = resolved()
    assert config == resolved("evolve.preset=paper")
    assert (config.evolve.preset, config.evolve.parents.name, config.evolve.tie_break) == (
        "paper",
        "uniform",
        "first",
    )
    assert config.evolve.emitters == EvolveConfig().emitters
    assert config.encoding == CppnSettings(size=256)


def test_a_file_wins_over_a_preset_and_a_preset_over_the_pipeline() -> None:
    config = resolved(evolve={"preset": "swift", "tie_break": "first"}, encoding={"add_node_rate": 0.25})
    assert isinstance(config.encoding, CppnSettings)
    assert (config.evolve.parents.name, config.evolve.tie_break) == ("fresh", "first")
    assert (config.encoding.start, config.encoding.add_node_rate, config.encoding.size) == ("deep", 0.25, 256)
    assert resolved("evolve.preset=swift").encoding.size == 256


def test_settings_objects_keep_what_they_say() -> None:
    encoding = CppnSettings(size=64)
    config = resolved(encoding=encoding, evolve={"preset": "swift"})
    assert config.encoding == encoding
    assert config.evolve.parents.name == "fresh"


def test_a_variant_of_another_encoding_has_its_own_emitters() -> None:
    config = lay_over(resolved("evolve.preset=swift"), {"encoding": {"name": "dct"}}, "variant")
    assert [emitter.name for emitter in config.evolve.emitters] == ["mutation"]
    assert config.evolve.parents.name == "fresh"


def test_an_unknown_preset_is_explained() -> None:
    with pytest.raises(ConfigError, match=r"evolve\.preset: expected one of 'paper'.* mean 'swift'"):
        resolved(evolve={"preset": "swft"})


@pytest.mark.parametrize(
    ("emitters", "message"),
    [
        ([], r"evolve\.emitters: "),
        ([{"name": "gradient"}], "expected one that makes single images from the start"),
        ([{"name": "mutation", "from_images": 9}], "expected one that makes single images from the start"),
        ([{"name": "mutation"}, {"name": "mutation"}], "mutation is here twice"),
        ([{"name": "mutation", "share": 0}], r"share: expected a number greater than 0"),
        ([{"name": "mutations"}], r"emitters\.0\.name: .*did you mean 'mutation'"),
        ([{"name": "mutation"}, {"name": "gradient", "steps": 101}], "spends 404 images at a time"),
    ],
)
def test_emitters_that_cannot_work_are_refused(emitters: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolved(evolve={"emitters": emitters})


def test_emitters_of_networks_need_networks() -> None:
    with pytest.raises(ConfigError, match=r"has warp, which works on encoding\.name cppn; got direct"):
        resolved(encoding={"name": "direct"}, evolve={"emitters": [{"name": "mutation"}, {"name": "warp"}]})


@pytest.mark.parametrize("file", shipped_files(), ids=lambda file: file.stem)
def test_every_shipped_file_says_which_search_it_uses(file: Path) -> None:
    text, preset = file.read_text(encoding="utf-8"), load_run_config(file).evolve.preset
    said = yaml.safe_load(text).get("evolve", {}).get("preset", "paper")
    assert said == preset
    assert f"evolve.preset: {preset}" in text or f"preset: {preset} " in text


class TestExplain:
    def test_lists_the_presets(self, capsys: Capture) -> None:
        assert execute(["explain"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == list(PRESETS)

    def test_says_all_that_a_preset_sets(self, capsys: Capture) -> None:
        assert execute(["explain", "swift"]) == 0
        said = capsys.readouterr().out
        assert 'evolve.parents: "fresh"' in said
        assert 'encoding.start: "deep"' in said
        assert execute(["explain", "white-box", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found == {encoding: settings_of("white-box", encoding) for encoding in ENCODINGS.built_in}

    def test_knows_no_others(self, capsys: Capture) -> None:
        assert execute(["explain", "swfit"]) == 2
        assert "expected one of paper, swift, white-box; did you mean 'swift'?" in capsys.readouterr().err
