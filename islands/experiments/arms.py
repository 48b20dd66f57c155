"""Compares searches at equal images: what `islands compare` calls.

Each arm is a run's settings with its own on top; each seed of an arm is a store in the experiment's folder,
`ARM/seed-0` and so on. What is there is not done again, and the same command goes on after a stop.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from islands.archipelago.progress import Observe, observe_nothing
from islands.config import RunConfig
from islands.config.layers import parse_yaml
from islands.errors import ConfigError
from islands.experiments.configure import load_run_config, variants_of
from islands.experiments.context import Context, Stopped
from islands.files import write_whole
from islands.observe.lines import say
from islands.reports.learning_page import render
from islands.store.location import Location
from islands.store.reader import StoreReader
from islands.store.statistics import images_by_epoch
from islands.texts import decoded
from islands.transfers.learning import Comparison, Course, compare

NAME = "comparison"
"""Of the page and of the numbers, but for `.html` and `.json`."""

_ARM = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)


def read_arms(path: Path) -> dict[str, Mapping[str, Any]]:
    """Read a file of arms: settings, as in a configuration file, by the name of the arm.

    Raises:
        ConfigError: it is none.
    """
    try:
        layer = parse_yaml(decoded(path.read_bytes()), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: expected a YAML file, got something that is not UTF-8 text") from None
    if layer.problems:
        raise ConfigError("\n".join(map(str, layer.problems)))
    arms = layer.values
    if not isinstance(arms, Mapping) or not arms:
        raise ConfigError(f"{path}: expected arms by name, such as `swift: {{evolve: {{preset: swift}}}}`")
    for name, settings in arms.items():
        if not _ARM.fullmatch(name):
            raise ConfigError(f"{path}: got the arm {name!r}; expected letters, digits, `.`, `_` and `-`")
        if not isinstance(settings, Mapping):
            raise ConfigError(f"{path}: {name}: expected a mapping of settings, such as {{evolve: {{…}}}}")
    return dict(arms)


def arm_configs(
    file: str, arms: Mapping[str, Mapping[str, Any]], seeds: int, images: int, overrides: tuple[str, ...] = ()
) -> dict[str, list[RunConfig]]:
    """Return the configuration of each seed of each arm, at most `images` an archive.

    Args:
        file: a configuration; its `store` is the folder of the comparison.
        arms: settings on top of it.
        seeds: how many, from that of `file` on.
        images: of each archive; generations follow from it.
        overrides: `KEY=VALUE` texts on top of all.

    Raises:
        ConfigError: something does not fit, or the images do not pay for one epoch.
    """
    found = {}
    for name, settings in arms.items():
        own = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
        try:
            config = load_run_config(file, [*own, *overrides])
        except ConfigError as error:
            raise ConfigError(f"arm {name}: {error}") from None
        if variants_of(config):
            raise ConfigError(f"{file}: the pipeline {config.pipeline} is several runs; expected one run")
        config = config.model_copy(update={"evolve": _within(images, config, name), "runs": 1})
        folder = Location.of(config.store).path
        found[name] = [
            config.model_copy(
                update={"seed": config.seed + seed, "store": str(folder / name / f"seed-{seed}")}
            )
            for seed in range(seeds)
        ]
    return found


def run_arms(
    configs: Mapping[str, list[RunConfig]],
    folder: Path,
    arms: Mapping[str, Mapping[str, Any]],
    command: str,
    observe: Observe = observe_nothing,
    say: Callable[[str], None] = say,
) -> Comparison | None:
    """Run what is missing, compare, and write page and numbers; return None where a signal stopped it.

    Raises:
        InputError: something does not fit, or a store in the folder has other settings.
        IslandsError: a run failed; what was done before stands.
    """
    courses: dict[str, list[Course]] = {name: [] for name in configs}
    # Seed by seed: whoever stops early has all arms at as many seeds.
    for seed in range(len(next(iter(configs.values())))):
        for name, own in configs.items():
            say(f"{name}, seed {own[seed].seed}")
            try:
                reader = Context(own[seed], None, observe, say).evolve(own[seed])
            except Stopped:
                return None
            courses[name].append(course_of(reader))
    comparison = compare(courses)
    shown = {name: yaml.safe_dump(dict(settings), sort_keys=False) for name, settings in arms.items()}
    numbers = {"command": command, "settings": dict(arms), **asdict(comparison)}
    write_whole(folder / f"{NAME}.json", json.dumps(numbers, indent=1) + "\n")
    write_whole(folder / f"{NAME}.html", render(comparison, shown, command))
    return comparison


def course_of(reader: StoreReader) -> Course:
    """Return the course of a store's first run."""
    curves, config = reader.curves(0), reader.config
    return Course.of(config.seed, images_by_epoch(config, len(curves)), curves)


def _within(images: int, config: RunConfig, name: str) -> Any:
    """Return `evolve` with as many whole epochs as `images` pay for."""
    budget, per_epoch = config.evolution.budget, config.evolve.generations_per_epoch
    epochs = (images - budget.initial) // (budget.children * per_epoch)
    if epochs < 1:
        least = budget.initial + budget.children * per_epoch
        raise ConfigError(f"arm {name}: got {images} images; expected at least {least}, for one epoch")
    return config.evolve.model_copy(update={"generations": epochs * per_epoch})
