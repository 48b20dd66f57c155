"""Images of noise for the 1000 classes of ImageNet: most of them do not fool the network.

Section 3.3 and figure 6 of the paper: 256 x 256 pixels of three numbers, 20,000 generations, 5 runs, scores
averaged over ten crops (section 2.1); median confidence 21.59 % (as quoted, not checked). The children and
the random images of generation 0, 200 each, are those of the released code
(`dl_map_elites_images_imagenet_direct_encoding.cpp`). The paper's network is AlexNet; the one here installs
as a package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import Certainty, Figure, Finding
from islands.experiments.pipeline import Pipeline

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence

EVALUATIONS = 200 + 200 * 20_000


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with section 3.3."""
    from islands.experiments.findings import imagenet_claims as claims

    found, networks = evidence.archives(), evidence.tested(evidence.config.network.label)
    return [
        claims.median(
            "Noise fools an ImageNet network less: median confidence of 22 %, give or take 10 points.",
            Figure("21.59 %", Certainty.QUOTED),
            *(0.2159, found, EVALUATIONS, networks),
        ),
        claims.classes_at(
            "Noise still reaches 99 % for some classes, here 45 or more.",
            Figure("45 classes", Certainty.QUOTED),
            *(0.99, 45, found, EVALUATIONS, networks),
        ),
    ]


PIPELINE = Pipeline(
    name="imagenet_direct",
    summary="Noise for each of the 1000 classes of ImageNet.",
    paper="section 3.3, figure 6",
    settings={
        "runs": 5,
        "network": {"name": "efficientnet-lite0", "view": "ten-crop"},
        "encoding": {"name": "direct", "size": 256},
        "evolve": {"initial": 200, "children": 200, "generations": 20_000, "generations_per_epoch": 20},
    },
    stages=("train", "evolve", "test"),
    small={
        "runs": 1,
        "network": {"view": "whole", "precision": "bfloat16"},
        "encoding": {"size": 128},
        # Twice the images of `imagenet_cppn`, as in the paper.
        "evolve": {"initial": 200, "children": 20, "generations": 600, "generations_per_epoch": 20},
        "workers": {"count": 1, "threads": 2},
    },
    laptop={
        "runs": 1,
        "network": {"view": "whole", "precision": "bfloat16"},
        "encoding": {"size": 224},
        "evolve": {"generations": 4000},
        "workers": {"count": 1, "threads": 2},
    },
    findings=findings,
)
