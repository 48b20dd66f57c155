"""Where workers go: bundles of resources that Ray reserves on the nodes, and what to say while they lack."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ray
from ray.util.placement_group import placement_group, remove_placement_group

from islands.config import ScorersConfig, WorkConfig, WorkersConfig
from islands.errors import ConfigError

LOCAL_WAIT_S = 5.0
"""Seconds in which a local cluster offers what it has."""

REPORT_S = 10.0
"""Seconds between two lines about what is missing."""

Resources = Mapping[str, float]

_log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where one worker runs: a bundle of a placement group, which it may share with others."""

    group: Any
    bundle: int


class Placement:
    """The reservations of all workers.

    The first `workers.min` come in one group, placed as `workers.strategy` says; a run starts when they are
    there. Each further bundle is a group of its own, so that it may come later, or never: Ray's autoscaler
    sees it as demand, and a worker that waits in it takes islands as soon as it runs.
    """

    def __init__(self, workers: WorkersConfig) -> None:
        per_bundle = workers.per_node or 1
        sizes = [min(per_bundle, workers.count - first) for first in range(0, workers.count, per_bundle)]
        least = -(-(workers.min or workers.count) // per_bundle)
        strategy = "STRICT_SPREAD" if workers.per_node else workers.strategy.upper()
        self._groups = [placement_group([bundle(workers, size) for size in sizes[:least]], strategy=strategy)]
        self._groups += [placement_group([bundle(workers, size)]) for size in sizes[least:]]
        self.places = [
            *(Place(self._groups[0], index) for index, size in enumerate(sizes[:least]) for _ in range(size)),
            *(
                Place(group, 0)
                for group, size in zip(self._groups[1:], sizes[least:], strict=True)
                for _ in range(size)
            ),
        ]
        """One per worker."""
        self._needed = [bundle(workers, size) for size in sizes[:least]]

    def wait(self, limit_s: float) -> None:
        """Wait until the least workers have their resources, and tell meanwhile what is missing.

        Raises:
            ConfigError: they did not come within `limit_s` seconds.
        """
        _await("workers", self._groups[0], self._needed, limit_s)

    def remove(self) -> None:
        """Give all back."""
        for group in self._groups:
            remove_placement_group(group)


def reserve_for_scorers(scorers: ScorersConfig, limit_s: float) -> Any:
    """Return a placement group with one bundle per scorer.

    Raises:
        ConfigError: the resources did not come within `limit_s` seconds.
    """
    needed = [{name: n for name, n in (("CPU", scorers.cpus), ("GPU", scorers.gpus)) if n}] * scorers.count
    group = placement_group(needed, strategy="SPREAD")
    try:
        _await("scorers", group, needed, limit_s)
    except ConfigError:
        # A reservation that stays would take the resources when they come.
        remove_placement_group(group)
        raise
    return group


def patience(config: WorkConfig) -> float:
    """Return the seconds to wait for resources: a local cluster offers at once all that it ever will."""
    wait_s = config.workers.wait_s
    return min(wait_s, LOCAL_WAIT_S) if config.ray.address == "local" else wait_s


def _await(section: str, group: Any, needed: Sequence[Resources], limit_s: float) -> None:
    started = time.monotonic()
    while True:
        waited = time.monotonic() - started
        # A group can be asked. An actor whose resources are nowhere would wait for ever, without a word.
        if group.wait(min(REPORT_S, max(0.1, limit_s - waited))):
            return
        waited = time.monotonic() - started + 0.1
        text = describe_lack(needed, _nodes())
        if waited >= limit_s:
            raise ConfigError(
                f"{section}: {text}; waited {limit_s:g} s (workers.wait_s): lower {section}.count, "
                f"{section}.cpus or {section}.gpus, set workers.min, or add nodes"
            )
        _log.warning("%s: %s; waiting, %.0f of %.0f s", section, text, waited, limit_s)


def bundle(workers: WorkersConfig, size: int) -> dict[str, float]:
    """Return what `size` workers need."""
    each = {"CPU": workers.cpus, "GPU": workers.gpus, **workers.resources}
    return {name: size * amount for name, amount in each.items() if amount}


def describe_lack(needed: Sequence[Resources], nodes: Sequence[tuple[str, Resources]]) -> str:
    """Say what is asked for, what the nodes have in all, and how much of it fits on each."""
    asked = ", ".join(f"{len(needed)} x {amount:g} {name}" for name, amount in needed[0].items())
    names = list(needed[0])
    found = ", ".join(f"{sum(node.get(name, 0) for _, node in nodes):g} {name}" for name in names)
    # 1e-9, for 0.3 / 0.1 is a little less than 3.
    each = ", ".join(
        f"{host} for {min(int(node.get(name, 0) / amount + 1e-9) for name, amount in needed[0].items())}"
        for host, node in nodes
    )
    return f"asked for {asked}; the Ray cluster has {found} on {len(nodes)} nodes, with room on {each}"


def _nodes() -> list[tuple[str, Resources]]:
    return [(node["NodeManagerAddress"], node["Resources"]) for node in ray.nodes() if node["Alive"]]
