from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from islands.encodings.factory import build_encoding
from islands.encodings.settings import CppnSettings, DirectSettings
from islands.errors import ConfigError


def test_the_papers_values_are_the_defaults() -> None:
    direct = DirectSettings()
    assert (direct.mutation_rate, direct.halve_every, direct.mutation_eta) == (0.1, 1000, 15)
    assert (direct.crossover_rate, direct.colour) == (0, "hsv")
    assert CppnSettings().colour == "hsv"


def test_a_variant_changes_defaults_only() -> None:
    released = DirectSettings(variant="released-code")
    assert (released.halve_every, released.crossover_rate, released.crossover_eta) == (0, 0.5, 10)
    assert (released.colour, CppnSettings(variant="released-code").colour) == ("hls", "hls")
    assert DirectSettings(variant="released-code", crossover_rate=0.2).crossover_rate == 0.2
    assert DirectSettings.model_validate(released.model_dump()) == released


def test_settings_import_no_torch() -> None:
    code = "import sys, islands.encodings.settings; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("activations", [[], ["sine", "sine"]])
def test_activations_must_be_some_and_distinct(activations: list[str]) -> None:
    with pytest.raises(ValidationError, match="name one or more of sine, sigmoid, gaussian and linear"):
        CppnSettings.model_validate({"activations": activations})


@pytest.mark.parametrize(
    "values", [{"mutation_rate": 0}, {"mutation_rate": 1.5}, {"size": 0}, {"colour": "rgb"}, {"rate": 0.1}]
)
def test_impossible_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DirectSettings.model_validate(values)


def test_the_networks_size_holds_unless_settings_say_otherwise() -> None:
    assert build_encoding(DirectSettings(), 1, 28).size == 28
    assert build_encoding(CppnSettings(size=64), 3, 256).size == 64


@pytest.mark.parametrize("settings", [DirectSettings(), CppnSettings()])
def test_impossible_images_are_refused(settings: DirectSettings | CppnSettings) -> None:
    with pytest.raises(ConfigError, match="images of 2 channels cannot be drawn; choose 1"):
        build_encoding(settings, 2, 28)
    with pytest.raises(ConfigError, match="choose a size of 1 or more"):
        build_encoding(settings, 1, 0)
