"""Connecting to Ray, or starting it, and reserving what the workers need."""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Any


def _prepare_environment() -> None:
    """Set what Ray reads once, when it is imported.

    Ray listens on all interfaces, so clusters that we start ask for a token, and clusters that we join get
    one: those without authentication ignore it. Where there is no token, Ray 2.60 aborts in token mode, or
    writes one to the home directory, which changes every later `ray start`; ours lasts as long as this
    process.
    """
    if "ray" in sys.modules:
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_SCHEDULER_EVENTS", "0")
    has_token = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    in_home = (Path.home() / ".ray" / "auth_token").exists()
    if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token" and not has_token and not in_home:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


_prepare_environment()

import ray
from ray.util.placement_group import placement_group, remove_placement_group

from islands.config import RayConfig, ScorersConfig, WorkersConfig
from islands.errors import ConfigError

LOCAL_WAIT_S = 5.0
"""Seconds in which a local cluster offers what it has."""


def connect(config: RayConfig, workers: WorkersConfig, scorers: ScorersConfig | None = None) -> bool:
    """Connect to Ray; return whether this call did it, so that the caller has to disconnect.

    A local Ray is started with the CPUs that workers, and scorers where there are any, ask for.

    Raises:
        ConfigError: nothing answers at the address.
    """
    if ray.is_initialized():
        return False
    if config.address == "local":
        asking = f"workers: {workers.count} workers of {workers.cpus:g} CPUs"
        asked = workers.count * workers.cpus
        if scorers is not None and scorers.cpus:
            asking += f" and {scorers.count} scorers of {scorers.cpus:g}"
            asked += scorers.count * scorers.cpus
        cpus = math.ceil(asked)
        if cpus > _cpus_here():
            raise ConfigError(
                f"{asking} ask for {cpus}; this machine has {_cpus_here()}: lower workers.count or "
                "workers.cpus, or join a cluster with ray.address"
            )
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        return True
    if config.address != "auto":
        _probe(config.address)
    try:
        ray.init(address=config.address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise _unreachable(config.address, error) from None
    return True


def reserve(workers: WorkersConfig | ScorersConfig, *, wait_s: float, may_grow: bool) -> Any:
    """Return a placement group with one bundle per worker, or per scorer.

    Raises:
        ConfigError: the cluster did not offer the resources within `wait_s` seconds, or at once where no node
            can come.
    """
    section = "workers" if isinstance(workers, WorkersConfig) else "scorers"
    amounts = {"CPU": workers.cpus, "GPU": workers.gpus}
    bundle = {name: amount for name, amount in amounts.items() if amount}
    group = placement_group([bundle] * workers.count, strategy="SPREAD")
    wait_s = wait_s if may_grow else min(wait_s, LOCAL_WAIT_S)
    if group.wait(wait_s):
        return group
    remove_placement_group(group)
    totals: dict[str, float] = ray.cluster_resources()
    asked = ", ".join(f"{workers.count} x {amount:g} {name}" for name, amount in bundle.items())
    found = ", ".join(f"{totals.get(name, 0):g} {name}" for name in bundle)
    raise ConfigError(
        f"{section}: asked for {asked} and waited {wait_s:g} s; the Ray cluster has {found}; lower "
        f"{section}.count, {section}.cpus or {section}.gpus, or add nodes"
    )


def _cpus_here() -> int:
    """Return the CPUs that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return usable or 1


def _probe(address: str) -> None:
    """Fail at once where Ray would go on trying for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"ray.address: got {address!r}; expected local, auto or HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError as error:
        raise _unreachable(address, error) from None


def _unreachable(address: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"ray.address: no Ray cluster answers at {address!r} ({error}); start one there with "
        "`ray start --head`, or use `local`"
    )
