"""What a resume may change of a configuration: what its results mean must stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from islands.config import NetworkConfig, RunConfig
from islands.errors import ConfigError

MAY_CHANGE = (
    "evolve.generations",
    "network.engine",
    "network.not_finite",
    "network.queries_per_second",
    "network.budget",
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
    require_unchanged(stored, config)
    if config.evolve.generations < stored.evolve.generations:
        raise ConfigError(
            f"evolve.generations: got {config.evolve.generations}, but the run was started with "
            f"{stored.evolve.generations}; expected at least that"
        )


def require_unchanged(before: RunConfig, after: RunConfig, allowed: Sequence[str] = MAY_CHANGE) -> None:
    """Check that what differs may; a run's budget is the same however it is counted.

    Raises:
        ConfigError: something else differs.
    """
    for key in differences(_meaning(before), _meaning(after)):
        if not may_change(key, allowed):
            got, expected = after.evolve.budget_per, before.evolve.budget_per
            if key in ("evolve.initial", "evolve.children") and got != expected:
                had, has = before.evolution.budget.children, after.evolution.budget.children
                raise ConfigError(
                    f"evolve.budget_per: got {got}, but the run was started with {expected}, which scores"
                    f" {had} children in a generation instead of {has};"
                    f" set evolve.budget_per to {expected}, or launch a new run"
                )
            raise changes_meaning(key, allowed)


def on_its_engines(stored: RunConfig, config: RunConfig) -> RunConfig:
    """Return `config`, with the engines of a run that was started as `stored` where it leaves them open."""

    def settled(network: NetworkConfig, before: Iterable[NetworkConfig]) -> NetworkConfig:
        same = (each for each in before if each.model_copy(update={"engine": network.engine}) == network)
        return next(same, network) if network.engine == "auto" else network

    return config.model_copy(
        update={
            "network": settled(config.network, [stored.network]),
            "held_out": [settled(network, stored.held_out) for network in config.held_out],
        }
    )


def _meaning(config: RunConfig) -> dict[str, Any]:
    return config.model_copy(update={"evolve": config.evolution.budget}).model_dump(mode="json")


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
