"""What of a run is measured, and Ray's metrics of it, which Prometheus reads from the head."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from islands.archipelago.progress import Progress
from islands.config import RunConfig

METRICS: Mapping[str, tuple[str, Callable[[Progress], float]]] = {
    "epoch": ("the last epoch that every island has done", lambda p: p.epoch),
    "evaluations": ("images scored", lambda p: p.evaluations),
    "not_finite": ("images without finite scores, which were skipped", lambda p: p.not_finite),
    "evaluations_per_second": (
        "images scored a second, since the driver started",
        lambda p: p.evaluations_per_second,
    ),
    "efficiency": ("share of the workers' time in which they evolved", lambda p: p.efficiency),
    "median_confidence": ("over all cells of all runs", lambda p: float(np.median(p.confidence))),
    "parcels": ("claims and migrants that islands mailed", lambda p: p.parcels),
    "commit_seconds": ("that the last commit took", lambda p: p.commit_s),
    "epochs_repeated": ("because a worker went away", lambda p: p.losses),
}
"""Name to meaning and value."""


def values(progress: Progress) -> dict[str, float]:
    """Return all metrics of a moment."""
    return {name: float(value(progress)) for name, (_, value) in METRICS.items()}


def ray_metrics(config: RunConfig) -> Callable[[Progress], None]:
    """Return an observer that sets Ray's gauges `ray_islands_<name>`, tagged with the store."""
    from ray.util.metrics import Gauge

    gauges = {
        name: Gauge(f"islands_{name}", description=meaning, tag_keys=("store",))
        for name, (meaning, _) in METRICS.items()
    }

    def observe(progress: Progress) -> None:
        for name, value in values(progress).items():
            gauges[name].set(value, tags={"store": config.store})

    return observe
