"""Positions of keys, and what YAML may not do here."""

from __future__ import annotations

import re

import pytest

from islands.config.layers import Origin, parse_override, parse_yaml
from islands.errors import ConfigError


def test_keys_know_their_line_and_column() -> None:
    layer = parse_yaml("a: 1\nb:\n  c: [x, {d: 2}]\n", "f.yaml")
    assert layer.values == {"a": 1, "b": {"c": ["x", {"d": 2}]}}
    assert layer.origins[("b", "c")] == Origin("f.yaml", 3, 3)
    assert str(layer.origins[("b", "c", 1, "d")]) == "f.yaml:3:11"


def test_unknown_place_is_that_of_the_section_around() -> None:
    layer = parse_yaml("a:\n  b: 1\n", "f.yaml")
    assert str(layer.origin(("a", "missing"))) == "f.yaml:1:1"
    assert str(layer.origin(("missing",))) == "f.yaml"


def test_exponents_are_numbers() -> None:
    """YAML 1.1, and so PyYAML, reads 1e3 as text."""
    assert parse_yaml("{a: 1e3, b: -2.5E-1, c: 1e, d: x1e3}", "f").values == {
        "a": 1000.0,
        "b": -0.25,
        "c": "1e",
        "d": "x1e3",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2\n", "f:2:2: not valid YAML"),
        ("a:\n\t- b\n", "f:2:1: not valid YAML"),
        ("a: 1\n---\nb: 2\n", "f:2:1: not valid YAML"),
        ("a: &x 1\nb: *x\n", "f:2:4: not valid YAML: aliases are not read"),
        ("a: &x [*x]\n", "aliases are not read"),
        ("a: \x07\n", "not a text file"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_not_yaml_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_yaml(text, "f")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2\n", "f:2:1: a: this key is here twice"),
        ("a: {b: 1, b: 2}\n", "f:1:11: a.b: this key is here twice"),
        ("1: a\n", 'f:1:1: expected a key, got "1"'),
        ("<<: {a: 1}\n", 'f:1:1: expected a key, got "<<"'),
        ("a: !!int x\n", 'f:1:4: a: cannot read "x" as a value'),
        ("a: !!bool x\n", 'f:1:4: a: cannot read "x" as a value'),
        ("a: !!timestamp x\n", 'f:1:4: a: cannot read "x" as a value'),
        ("a: !!python/name:os.system x\n", 'f:1:4: a: cannot read "x" as a value'),
        ("a: 2026-13-45\n", 'f:1:4: a: cannot read "2026-13-45" as a value'),
    ],
)
def test_what_yaml_allows_but_nobody_means_is_noted(text: str, problem: str) -> None:
    assert [str(each) for each in parse_yaml(text, "f").problems] == [problem]


def test_override_is_a_path_and_a_yaml_value() -> None:
    layer = parse_override("a.b={c: [1, two]}", {})
    assert layer.values == {"a": {"b": {"c": [1, "two"]}}}
    assert str(layer.origin(("a", "b", "c"))) == "--set a.b={c: [1, two]}"
    assert parse_override("a=", {}).values == {"a": None}
    assert parse_override("a=x=y", {}).values == {"a": "x=y"}


@pytest.mark.parametrize("text", ["a", "=1", "a..b=1", ".a=1", "", "a=[1", "a=*x"])
def test_bad_override_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--set "):
        parse_override(text, {})


def test_top_wins_key_by_key() -> None:
    below = parse_yaml("a: {b: 1, c: 2}\nd: 3\n", "below")
    top = parse_yaml("a: {b: 9}\nd: {e: 4}\n", "top")
    merged = below.below(top)
    assert merged.values == {"a": {"b": 9, "c": 2}, "d": {"e": 4}}
    assert [str(merged.origin(("a", key))) for key in "bc"] == ["top:1:5", "below:1:11"]


def test_emptied_section_keeps_what_is_below() -> None:
    """A section of which every key is commented out reads as null."""
    assert parse_yaml("a: {b: 1}", "below").below(parse_yaml("a:\n", "top")).values == {"a": {"b": 1}}
