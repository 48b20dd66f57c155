"""Nodes of Ray clusters on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psutil

SMALL: Mapping[str, Any] = {
    "include_dashboard": False,
    "include_log_monitor": False,
    "no_monitor": True,
    "object_store_memory": 80_000_000,
}
"""Options of nodes without what nobody looks at here: four processes fewer on a head, and one on others."""


def lose(cluster: Any, node: Any) -> None:
    """Kill everything that runs on a node of a `ray.cluster_utils.Cluster`, as a power cut does.

    `remove_node` kills the raylet alone: workers go on for seconds, and an agent may keep a core busy for
    minutes. The raylet is stopped first, so that it neither sees them die nor starts others.
    """
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    raylet.suspend()
    for process in raylet.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    cluster.remove_node(node, allow_graceful=False)
