"""Regular patterns for the 1000 classes of ImageNet: the images that made the paper known.

Section 3.4 and figures 7, 8 and 12 of the paper: 256 x 256 colour images of CPPNs, 5000 generations, 5 runs,
scores averaged over ten crops (section 2.1); median confidence 88.11 % (as quoted, not checked). The children
and the random images of generation 0, 400 each, are those of the released code (`dl_map_elites_images.cpp`).
The paper's network is AlexNet; the one here installs as a package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import Certainty, Figure, Finding
from islands.experiments.pipeline import Pipeline

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence

EVALUATIONS = 400 + 400 * 5000


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with section 3.4."""
    from islands.experiments.findings import imagenet_claims as claims

    found, networks = evidence.archives(), evidence.tested(evidence.config.network.label)
    noise = evidence.others.get("imagenet_direct")
    return [
        claims.median(
            "Patterns fool an ImageNet network: median confidence of 88 %, give or take 10 points.",
            Figure("88.11 %", Certainty.QUOTED),
            *(0.8811, found, EVALUATIONS, networks),
        ),
        claims.classes_at(
            "Many classes have 99.99 % or more; here: a hundred.",
            Figure("many, no count found", Certainty.RECALLED_HIGH),
            *(0.9999, 100, found, EVALUATIONS, networks),
        ),
        claims.cppn_above_direct(found, noise.archives() if noise else None, networks),
        claims.dogs_and_cats(found, networks),
        claims.switched_goals(found, networks),
    ]


PIPELINE = Pipeline(
    name="imagenet_cppn",
    summary="Patterns for each of the 1000 classes of ImageNet.",
    paper="section 3.4, figures 7, 8 and 12",
    settings={
        "runs": 5,
        "network": {"name": "efficientnet-lite0", "view": "ten-crop"},
        "encoding": {"name": "cppn", "size": 256},
        "evolve": {"initial": 400, "children": 400, "generations": 5000, "generations_per_epoch": 10},
    },
    stages=("train", "evolve", "test"),
    small={
        "runs": 1,
        "network": {"view": "whole", "precision": "bfloat16"},
        "encoding": {"size": 128},
        "evolve": {"initial": 200, "children": 20, "generations": 300, "generations_per_epoch": 20},
        "workers": {"count": 1, "threads": 2},
    },
    # As many images as a run of the paper has, each seen once.
    laptop={
        "runs": 1,
        "network": {"view": "whole", "precision": "bfloat16"},
        "encoding": {"size": 224},
        "workers": {"count": 1, "threads": 2},
    },
    findings=findings,
)
