"""The pipelines by name: the modules of `islands.pipelines`, each imported when it is asked for."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module

from islands.experiments.pipeline import Pipeline

PACKAGE = "islands.pipelines"
"""Found by name: the experiments are made of this room, which knows none of them."""


class _Catalogue(Mapping[str, Pipeline]):
    """Each module of `PACKAGE`, and the pipeline in it."""

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(sorted(module.name for module in pkgutil.iter_modules(import_module(PACKAGE).__path__)))

    def __getitem__(self, name: str) -> Pipeline:
        if name not in self._names:
            raise KeyError(name)
        pipeline: Pipeline = import_module(f"{PACKAGE}.{name}").PIPELINE
        return pipeline

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names


PIPELINES: Mapping[str, Pipeline] = _Catalogue()
"""All pipelines by name, sorted."""
