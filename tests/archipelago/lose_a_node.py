"""Runs islands on three Ray nodes of this machine and kills that with two workers; prints what came out.

`python -m tests.archipelago.lose_a_node`
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from islands.archipelago.driver import Archipelago
from islands.archipelago.progress import Progress
from islands.archipelago.ray_executor import RayExecutor
from tests.archipelago.conftest import digest, evolve, in_process, small_config
from tests.archipelago.nodes import SMALL, lose

BUDGET = {"generations": 40, "children": 40}
LOST_AT_EPOCH = 5


def main() -> None:
    """Print whether the bits are those of an undisturbed run, epochs repeated, and seconds to the first."""
    import ray
    from ray.cluster_utils import Cluster

    cluster: Any = Cluster(initialize_head=True, head_node_args={**SMALL, "num_cpus": 1})
    nodes = [cluster.add_node(**SMALL, num_cpus=cpus) for cpus in (2, 1)]
    ray.init(address=cluster.address, logging_level=logging.ERROR, log_to_driver=False)
    config = small_config(
        evolve=BUDGET,
        workers={"count": 4, "max_failures": 1},
        ray={"address": cluster.address},
        islands={"count": 3},
    )
    executor = RayExecutor(config)
    executor.workers.wait_for_all()  # a run begins with the first worker: the node to lose may have none yet
    lost_at: list[float] = []
    noticed_at: list[float] = []

    def lose_a_node(archipelago: Archipelago, progress: Progress) -> None:
        if progress.epoch >= LOST_AT_EPOCH and not lost_at:
            lost_at.append(time.monotonic())
            lose(cluster, nodes[0])
        if progress.losses and not noticed_at:
            noticed_at.append(time.monotonic())

    evolution = evolve(config, executor, on_report=lose_a_node)
    ray.shutdown()
    cluster.shutdown()
    undisturbed = in_process(small_config(evolve=BUDGET, islands={"count": 3}))
    result = {
        "same_bits": digest(evolution.last) == digest(undisturbed.last),
        "losses": evolution.reports[-1].losses,
        "seconds_to_notice": noticed_at[0] - lost_at[0] if noticed_at else None,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
