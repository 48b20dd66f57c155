"""The driver that `two_hosts` starts on the first host: `ADDRESS EPOCHS [timed]`.

It asks on stdout for the cable to be cut and for a host to be lost, waits on stdin for the answer, and says
at the end what came out.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from islands.archipelago.driver import Archipelago
from islands.archipelago.progress import Progress
from islands.archipelago.ray_executor import RayExecutor
from islands.config import WorkConfig
from islands.evolution.checkpoint import Checkpoint
from tests.archipelago.conftest import digest, in_process, small_config


def main() -> None:
    """Evolve with a cut and a loss; if asked, also undisturbed on two hosts and on one."""
    address, epochs = sys.argv[1], int(sys.argv[2])
    sections: dict[str, Any] = {
        "runs": 1,
        "islands": {"count": 4},
        "evolve": {"initial": 40, "children": 40, "generations": 4 * epochs, "generations_per_epoch": 4},
        "ray": {"address": address},
    }
    together = small_config(**sections, workers={"count": 2, "per_node": 1, "wait_s": 120})
    alone = small_config(**sections, workers={"count": 1, "wait_s": 120})
    reference = digest(in_process(alone).last)
    result: dict[str, Any] = {}
    if "timed" in sys.argv:
        one, two = Run(alone, lambda progress: None), Run(together, lambda progress: None)
        result = {
            "undisturbed_has_the_same_bits": one.digest == two.digest == reference,
            "seconds_on_one_host": one.seconds,
            "seconds_on_two_hosts": two.seconds,
        }
    disturbed = Disturbance(epochs)
    troubled = Run(together, disturbed)
    result |= {
        "same_bits": troubled.digest == reference,
        "epochs_repeated": troubled.losses,
        "longest_pause_with_cable_cut_s": disturbed.pauses["cut"],
        "longest_pause_with_host_lost_s": disturbed.pauses["lose"],
    }
    say("result", result)


class Run:
    """One run, from its first epoch on."""

    def __init__(self, config: WorkConfig, observe: Callable[[Progress], None]) -> None:
        commits: list[Checkpoint] = []
        self.losses = 0
        started: list[float] = []

        def watch(progress: Progress) -> None:
            if progress.epoch >= 0 and not started:
                started.append(time.monotonic())
            self.losses = progress.losses
            observe(progress)

        with closing(RayExecutor(config)) as executor:
            executor.workers.wait_for_all()
            archipelago = Archipelago(
                config, 10, executor, lambda checkpoint, complete: commits.append(checkpoint), watch
            )
            archipelago.evolve()
            self.seconds = time.monotonic() - started[0]
        self.digest = digest(commits[-1])


class Disturbance:
    """Asks for a cut after a quarter of the epochs and for a loss after half, and times what follows."""

    def __init__(self, epochs: int) -> None:
        self._due = {"cut": epochs // 4, "lose": epochs // 2}
        self._current: str | None = None
        self._epoch = -1
        self._since = time.monotonic()
        self.pauses = {"cut": 0.0, "lose": 0.0}

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._current is not None:
            pause = now - self._since
            self.pauses[self._current] = max(self.pauses[self._current], pause)
        if progress.epoch > self._epoch:
            self._epoch, self._since = progress.epoch, now
        for event, epoch in list(self._due.items()):
            if progress.epoch >= epoch:
                del self._due[event]
                say(event, None)
                self._current = event
                assert sys.stdin.readline() == "done\n"


def say(event: str, value: object) -> None:
    """Write an event for `two_hosts`."""
    print(event, json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
