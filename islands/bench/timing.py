"""Measures of time and memory that hold on machines which do other things as well."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import torch

from islands.memory import peak_memory


@dataclass(frozen=True)
class Times:
    """Seconds of each repetition of a piece of work: on the clock, and of this process's CPUs."""

    wall: list[float]
    cpu: list[float]

    @property
    def typical(self) -> float:
        """The median on the clock."""
        return median(self.wall)


def interleaved(
    works: Mapping[str, Callable[[], object]], device: torch.device, seconds: float, rounds: int = 3
) -> dict[str, Times]:
    """Repeat pieces of work in turns, A B A B, for about `seconds`, so that what disturbs one disturbs all.

    Each is done at least `rounds` times in any case: a median of three forgets a slow first time.
    """
    times = {name: Times([], []) for name in works}
    started = time.perf_counter()
    done = 0
    while done < rounds or time.perf_counter() - started < seconds:
        for name, work in works.items():
            finish(device)
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            finish(device)
            times[name].wall.append(time.perf_counter() - wall)
            times[name].cpu.append(time.process_time() - cpu)
        done += 1
    return times


def ratio(over: list[float], under: list[float]) -> float:
    """Return the median over the rounds of `over` / `under`."""
    return median(a / b for a, b in zip(over, under, strict=True))


def finish(device: torch.device) -> None:
    """Wait until the device has done what was asked of it."""
    if device.type != "cpu":
        torch.accelerator.synchronize()


def peak_memory_of(device: torch.device) -> int:
    """Return the most memory in bytes that was ever in use: of the CUDA device, or of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return peak_memory()
