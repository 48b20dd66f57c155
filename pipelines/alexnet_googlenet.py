"""The paper's own pair: images evolved against AlexNet, shown to GoogLeNet, and the other way round.

Section 3.5 of the paper: 20.7 % of GoogLeNet's images keep their label on AlexNet, and 17.3 % the other way
(recalled, not checked). The weights are torchvision's, which downloads them; then
`islands launch cluster/gpu.yaml --set pipeline=alexnet_googlenet --set store=runs/alexnet-googlenet`.
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

    alexnet, googlenet = (f"torchvision:{name}@IMAGENET1K_V1 (ten-crop)" for name in ("alexnet", "googlenet"))
    return transfers(
        evidence,
        "Images evolved against {source} fool {target}, of another architecture, more often than chance.",
        {
            (googlenet, alexnet): Figure("20.7 % of images", Certainty.RECALLED_MEDIUM),
            (alexnet, googlenet): Figure("17.3 % of images", Certainty.RECALLED_MEDIUM),
        },
        None,
        "torchvision's weights, not the paper's",
    )


PIPELINE = Pipeline(
    name="alexnet_googlenet",
    summary="Patterns for AlexNet and GoogLeNet, each shown to the other.",
    paper="section 3.5",
    settings={
        "network": {"name": "torchvision:alexnet@IMAGENET1K_V1", "view": "ten-crop"},
        "encoding": {"name": "cppn", "size": 256},
        "evolve": {"initial": 400, "children": 400, "generations": 5000, "generations_per_epoch": 10},
    },
    stages=("fetch", "evolve", "transfer", "test"),
    variants=crossed(
        {
            "alexnet": {"name": "torchvision:alexnet@IMAGENET1K_V1", "view": "ten-crop"},
            "googlenet": {"name": "torchvision:googlenet@IMAGENET1K_V1", "view": "ten-crop"},
        }
    ),
    findings=findings,
)
