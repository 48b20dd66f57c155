"""Nodes of Ray clusters on this machine."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psutil


def lose(cluster: Any, node: Any) -> None:
    """Kill everything that runs on a node of a `ray.cluster_utils.Cluster`, as a power cut does.

    `remove_node` kills the raylet alone; the agent that it leaves behind may keep a core busy for minutes.
    """
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    on_the_node = raylet.children(recursive=True)
    cluster.remove_node(node, allow_graceful=False)
    for process in on_the_node:
        with suppress(psutil.NoSuchProcess):
            process.kill()
