"""The experiments, one module each: a module here with a `PIPELINE` is listed and can be launched."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from islands.pipelines.base import EVOLVING, Pipeline

__all__ = ["EVOLVING", "Pipeline", "get", "names"]


@cache
def names() -> tuple[str, ...]:
    """Return the names of all pipelines, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base"))


def get(name: str) -> Pipeline:
    """Return the pipeline of one of `names()`."""
    pipeline: Pipeline = import_module(f"{__name__}.{name}").PIPELINE
    return pipeline
