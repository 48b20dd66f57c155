"""Patterns that several networks together are certain of.

Supplement B of the paper: the fitness is the mean of the scores of three networks (there CaffeNet, AlexNet
and GoogLeNet, here three that install as packages), 4000 generations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import Certainty, Figure, Finding
from islands.experiments.pipeline import Pipeline

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence

EVALUATIONS = 400 + 400 * 4000


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with supplement B."""
    from islands.experiments.findings import imagenet_claims as claims

    found, networks = evidence.archives(), evidence.tested(evidence.config.network.label)
    return [
        claims.classes_at(
            "An ensemble can be fooled: 231 classes or more have 90 % of its mean.",
            Figure("231 of 1000 classes", Certainty.RECALLED_MEDIUM),
            *(0.9, 231, found, EVALUATIONS, networks),
        ),
        claims.median(
            "Its median confidence is 65 %, give or take 10 points; the best class has 100 %.",
            Figure("median 65.2 %, highest 100 %", Certainty.RECALLED_MEDIUM),
            *(0.652, found, EVALUATIONS, networks),
        ),
    ]


PIPELINE = Pipeline(
    name="ensemble",
    summary="Patterns for the mean of three ImageNet networks.",
    paper="supplement B",
    settings={
        "network": {
            "name": "ensemble:efficientnet-lite0+efficientnet-lite1+torchvision:mobilenet_v2@IMAGENET1K_V1"
        },
        "encoding": {"name": "cppn", "size": 256},
        "evolve": {"initial": 400, "children": 400, "generations": 4000, "generations_per_epoch": 10},
    },
    stages=("fetch", "evolve", "test"),
    small={
        "network": {"precision": "bfloat16"},
        "encoding": {"size": 128},
        "evolve": {"initial": 200, "children": 20, "generations": 120, "generations_per_epoch": 20},
        "workers": {"count": 1, "threads": 2},
    },
    laptop={
        "network": {"precision": "bfloat16"},
        "encoding": {"size": 224},
        "evolve": {"generations": 1000},
        "workers": {"count": 1, "threads": 2},
    },
    findings=findings,
)
