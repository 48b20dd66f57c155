"""Experiments on a tiny budget, whole or cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from islands.config import RunConfig
from islands.datasets.mnist import load_fashion_mnist, load_mnist
from islands.experiments.configure import resolve_run_config
from islands.experiments.items import Item, Items
from islands.experiments.runner import run_experiment
from islands.folders import cache_directory


def link_data(cache: Path) -> None:
    """Let a cache have the images that the user's has, once they are there."""
    for name, load in (("mnist", load_mnist), ("fashion-mnist", load_fashion_mnist)):
        load("test")
        (cache / name).symlink_to(cache_directory() / name)


@contextmanager
def own_cache(folder: Path) -> Iterator[Path]:
    """Keep networks that are trained meanwhile out of the user's cache."""
    (folder / "cache").mkdir()
    link_data(folder / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISLANDS_CACHE", str(folder / "cache"))
        yield folder


def tiny(pipeline: str, store: Path, **settings: Any) -> RunConfig:
    evolve = {"initial": 10, "children": 10, "generations": 4, "generations_per_epoch": 2}
    common = {"pipeline": pipeline, "store": str(store), "runs": 1, "evolve": evolve}
    return resolve_run_config({**common, "workers": {"executor": "in-process"}, **settings})


def quiet(text: str) -> None:
    """Say nothing."""


def run(config: RunConfig) -> None:
    assert run_experiment(config, say=quiet)


def run_cut_off(config: RunConfig, at: str) -> None:
    """Kill the experiment when it says something, and then run it again to its end."""

    def stop(text: str) -> None:
        if at in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(config, say=stop)
    run(config)


def items(config: RunConfig, stage: str) -> dict[str, Item]:
    return Items(config.store, stage).all()
