"""Starts a run with one worker, adds a node for a second one, and prints what came out as JSON.

`python -m tests.archipelago.join_a_node`
"""

from __future__ import annotations

import json
import logging
from typing import Any

from islands.archipelago.driver import Archipelago
from islands.archipelago.progress import Progress
from islands.archipelago.ray_executor import RayExecutor
from tests.archipelago.conftest import digest, evolve, in_process, small_config
from tests.archipelago.nodes import SMALL

BUDGET = {"generations": 40, "children": 40}
JOINED_AT_EPOCH = 5


def main() -> None:
    """Print whether the bits are those of an undisturbed run, and how many workers hosted islands."""
    import ray
    from ray.cluster_utils import Cluster

    cluster: Any = Cluster(initialize_head=True, head_node_args={**SMALL, "num_cpus": 1})
    ray.init(address=cluster.address, logging_level=logging.ERROR, log_to_driver=False)
    config = small_config(
        evolve=BUDGET, workers={"count": 2, "min": 1}, ray={"address": cluster.address}, islands={"count": 3}
    )
    executor = RayExecutor(config)
    workers = [0]

    def join(archipelago: Archipelago, progress: Progress) -> None:
        workers[-1] = len({actor._actor_id for actor in executor._hosts.values()})
        if progress.epoch >= JOINED_AT_EPOCH and len(workers) == 1:
            workers.append(0)
            cluster.add_node(**SMALL, num_cpus=1)
            executor.workers.wait_for_all()

    evolution = evolve(config, executor, on_report=join)
    ray.shutdown()
    cluster.shutdown()
    undisturbed = in_process(small_config(evolve=BUDGET, islands={"count": 3}))
    result = {
        "same_bits": digest(evolution.last) == digest(undisturbed.last),
        "workers_before_and_after": workers,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
