"""Different architectures with the same data: images evolved against each of three networks, shown to all.

Section 3.5 of the paper, second case, which has AlexNet and GoogLeNet (`alexnet_googlenet`); the networks
here install as packages. Scoring all elites on two other networks takes longer than evolving them does, so
there is no small form: `pipelines/architectures.yaml` is for two cores and some hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import Certainty, Figure, Finding
from islands.experiments.pipeline import Pipeline, crossed

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with section 3.5, second case."""
    from islands.experiments.findings.transfer_claims import transfers

    return transfers(
        evidence,
        "Images evolved against {source} fool {target}, of another architecture, more often than chance.",
        {},
        Figure("17.3 % and 20.7 % of images", Certainty.RECALLED_MEDIUM),
        "other networks than AlexNet and GoogLeNet; a small budget leaves images uncertain on their source",
    )


PIPELINE = Pipeline(
    name="architectures",
    summary="Patterns for EfficientNet-Lite0, Lite2 and MobileNetV2, each shown to the others.",
    paper="section 3.5",
    settings={
        "network": {"name": "efficientnet-lite0"},
        "encoding": {"name": "cppn", "size": 256},
        "evolve": {"initial": 400, "children": 400, "generations": 5000, "generations_per_epoch": 10},
    },
    stages=("fetch", "evolve", "transfer", "test"),
    variants=crossed(
        {
            "lite0": {"name": "efficientnet-lite0"},
            "lite2": {"name": "efficientnet-lite2"},
            "mobilenet": {"name": "torchvision:mobilenet_v2@IMAGENET1K_V1"},
        }
    ),
    laptop={
        "network": {"precision": "bfloat16"},
        "encoding": {"size": 224},
        "evolve": {"generations": 250},
        "workers": {"count": 1, "threads": 2},
    },
    findings=findings,
)
