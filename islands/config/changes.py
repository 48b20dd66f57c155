"""What a resume may change of a configuration: what its results mean must stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from islands.config import RunConfig
from islands.errors import ConfigError

MAY_CHANGE = (
    "evolve.generations",
    "network.not_finite",
    "held_out",
    "workers",
    "scorers",
    "ray",
    "checkpoint",
    "loggers",
    "store",
)
"""What a resume may change: the budget, who else looks at the elites, and where and how the work is done."""


def require_same_meaning(stored: RunConfig, config: RunConfig) -> None:
    """Check that a run that was started as `stored` may go on as `config`.

    Raises:
        ConfigError: the results would mean something else.
    """
    for key in differences(stored.model_dump(mode="json"), config.model_dump(mode="json")):
        if not may_change(key):
            raise changes_meaning(key)
    if config.evolve.generations < stored.evolve.generations:
        raise ConfigError(
            f"evolve.generations: got {config.evolve.generations}, but the run was started with "
            f"{stored.evolve.generations}; expected at least that"
        )


def may_change(key: str, allowed: Sequence[str] = MAY_CHANGE) -> bool:
    """Tell whether a resume may change `key`, or something within it."""
    return any(f"{key}.".startswith(f"{each}.") or each.startswith(f"{key}.") for each in allowed)


def changes_meaning(key: str, allowed: Sequence[str] = MAY_CHANGE) -> ConfigError:
    """Return the error of a resume that changes `key`."""
    return ConfigError(
        f"{key}: another value would change what the results of this run mean; expected one of "
        f"{', '.join(each for each in allowed if each != 'store')}: launch a new run for anything else"
    )


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Return the keys whose values differ, in order."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            yield from differences(before.get(name), after.get(name), f"{path}.{name}".lstrip("."))
    elif before != after:
        yield path
