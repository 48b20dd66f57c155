"""Made-up archives, and evidence that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from islands.experiments.configure import parameters_of, resolve_run_config
from islands.experiments.findings.archives import Archives, Rows
from islands.experiments.findings.evidence import Evidence
from islands.experiments.findings.verdicts import Tested
from islands.experiments.items import Item

TESTED = Tested("sample", 0.875, 200, "test images")


def archives(
    *curves: Any, per_epoch: int = 10, evaluations: int = 1000, history: tuple[Rows, ...] = ()
) -> Archives:
    """Archives of which each run has `curves`, (epochs + 1, K)."""
    stacked = np.array(curves, np.float32)
    return Archives(
        network="sample",
        confidence=stacked[:, -1],
        curves=stacked,
        generations_per_epoch=per_epoch,
        evaluations=np.full(len(curves), evaluations),
        history=history,
    )


def final(
    confidence: npt.ArrayLike,
    evaluations: int = 1000,
    history: tuple[Rows, ...] = (),
    start: npt.ArrayLike = 0.001,
) -> Archives:
    """Archives of one epoch, (R, K) confidences at its end and, as far as they are given, at its start."""
    rows = np.atleast_2d(np.asarray(confidence, np.float32))
    first = np.broadcast_to(np.asarray(start, np.float32), rows.shape)
    curves = [np.stack(each) for each in zip(first, rows, strict=True)]
    return archives(*curves, evaluations=evaluations, history=history)


@dataclass(frozen=True)
class Made(Evidence):
    """Evidence that was made up."""

    made: Mapping[str, Archives] = field(default_factory=dict)
    stages: Mapping[str, Mapping[str, Item]] = field(default_factory=dict)
    documents: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[tuple[str, str], dict[str, npt.NDArray[Any]]] = field(default_factory=dict)

    def archives(self, variant: str = "") -> Archives:
        return self.made[variant]

    def items(self, stage: str) -> dict[str, Item]:
        return dict(self.stages.get(stage, {}))

    def arrays(self, stage: str, item: str) -> dict[str, npt.NDArray[Any]] | None:
        return self.kept.get((stage, item))

    def tested(self, *networks: str) -> tuple[Tested, ...]:
        return (TESTED,)

    def document(self, name: str) -> Any:
        return self.documents[name]


def evidence(pipeline: str, made: Mapping[str, Archives] | None = None, **fields: Any) -> Made:
    """Evidence of a pipeline with its own settings."""
    config = resolve_run_config({"pipeline": pipeline, "store": "nowhere"})
    return Made(Path("nowhere"), config, parameters_of(config), made=made or {}, **fields)
