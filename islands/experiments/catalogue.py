"""The pipelines by name: the modules of `islands.pipelines`, each imported when wanted, and others."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module

from islands.experiments.pipeline import Pipeline
from islands.extensions.kinds import Registry

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


KIND = Registry[Pipeline](
    "pipelines",
    "an islands.Pipeline",
    lambda found: isinstance(found, Pipeline),
    _Catalogue(),
)
"""Ours, and those of others."""


class _All(Mapping[str, Pipeline]):
    """Ours, those that packages announce, and whatever a reference leads to, which is not listed."""

    def __getitem__(self, name: str) -> Pipeline:
        if name not in self:
            raise KeyError(name)
        return KIND.get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(KIND.names())

    def __len__(self) -> int:
        return len(KIND.names())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in KIND.built_in or KIND.is_own(name))


PIPELINES: Mapping[str, Pipeline] = _All()
"""All pipelines by name."""
