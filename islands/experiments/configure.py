"""Configurations of the pipelines in the catalogue, and the runs that a pipeline makes of one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from islands.config import RunConfig, resolve
from islands.experiments.catalogue import KIND, PIPELINES


def load_run_config(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> RunConfig:
    """Read a configuration file, `-` for standard input; `overrides` are `KEY=VALUE` texts that win over it.

    Raises:
        ConfigError: with a line for each mistake.
    """
    return resolve.load_run_config(PIPELINES, path, overrides)


def resolve_run_config(
    settings: Mapping[str, Any],
    source: str = "settings",
    overrides: Sequence[str] = (),
    *,
    written: bool = False,
) -> RunConfig:
    """Lay settings over those of the pipeline that they name; see `islands.config.resolve`.

    Raises:
        ConfigError: with a line for each mistake.
    """
    return resolve.resolve_run_config(PIPELINES, settings, source, overrides, written=written)


def as_written(config: RunConfig) -> dict[str, Any]:
    """Return the settings that `load_run_config` reads as `config` again, wherever `$` is in a path."""
    return resolve.as_written(PIPELINES, config)


def variants_of(config: RunConfig) -> dict[str, RunConfig]:
    """Return the runs side by side that the pipeline is made of, by name; empty where it is a single run."""
    pipeline = PIPELINES.get(config.pipeline)
    variants = {} if pipeline is None else pipeline.runs
    return {name: _variant(config, name, settings) for name, settings in variants.items()}


def _variant(config: RunConfig, name: str, settings: Mapping[str, Any]) -> RunConfig:
    held_out = [network.model_dump(mode="json") for network in config.held_out]
    own = {
        **settings,
        "parameters": {},
        "store": str(Path(config.store) / name),
        "held_out": [*settings.get("held_out", ()), *held_out],
    }
    return resolve.lay_over(config, own, f"pipeline {config.pipeline}, variant {name}")


def parameters_of(config: RunConfig) -> object:
    """Return `config.parameters` in the pipeline's schema; None where it has none."""
    pipeline = PIPELINES.get(config.pipeline)
    schema = None if pipeline is None else pipeline.parameters
    return None if schema is None else schema.model_validate(config.parameters)


def unlike_defaults(config: RunConfig) -> dict[str, Any]:
    """Return the settings, by their keys, that are not what the pipeline sets or leaves to defaults.

    No code is imported that a store names: what is not of Islands is compared with the pipeline `custom`.

    Example:
        >>> config = resolve_run_config({"pipeline": "mnist_cppn", "store": "runs/x", "seed": 1})
        >>> unlike_defaults(config)
        {'seed': 1}
    """
    name = config.pipeline if config.pipeline in KIND.built_in else _ANY
    needed = {"network": {"name": "lenet-mnist"}, "encoding": {"name": "cppn"}} if name == _ANY else {}
    usual = resolve_run_config({"pipeline": name, "store": config.store, **needed})
    found = dict(_flat(config.model_dump(mode="json")))
    expected = dict(_flat(usual.model_dump(mode="json")))
    return {
        key: value
        for key, value in found.items()
        if key not in ("pipeline", "parameters") and (key not in expected or expected[key] != value)
    }


_ANY = "custom"
"""The pipeline that sets nothing but what it must."""


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
