"""Images of noise that a digit network is certain of.

Section 3.1 and figure 4 of the paper: 28 x 28 grey pixels, mutated one by one, 200 generations. The children
and the random images of generation 0, 200 each, are those of the released code
(`dl_map_elites_images_mnist_direct_encoding.cpp`), which leaves the number of generations open.
A launch makes one run. How many the paper made is not known: the full budget has as many as `mnist_cppn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import Certainty, Figure, Finding
from islands.experiments.pipeline import Pipeline

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with section 3.1."""
    from islands.experiments.findings.claims import every_run_reached, median_at

    found, networks = evidence.archives(), evidence.tested(evidence.config.network.label)
    return [
        median_at(
            "By 200 generations, noise fools a digit network: median confidence of 99.99 %.",
            Figure("99.99 %", Certainty.QUOTED),
            *(found, 200, 0.9999, networks),
        ),
        every_run_reached(
            "Before 50 generations, every run has 99.99 % or more for every digit.",
            Figure("all runs by generation 50", Certainty.QUOTED),
            *(found, 50, 0.9999, networks),
            "another training of LeNet; with the weights that the paper's authors released, a "
            "re-implementation of their code got there at generations 120 to 189 [verified]",
        ),
    ]


PIPELINE = Pipeline(
    name="mnist_direct",
    summary="Noise that a digit network takes for each digit.",
    paper="section 3.1, figure 4",
    settings={
        "network": {"name": "lenet-mnist", "view": "whole"},
        "encoding": {"name": "direct"},
        "evolve": {"initial": 200, "children": 200, "generations": 200, "generations_per_epoch": 10},
    },
    stages=("train", "evolve", "test"),
    small={"runs": 10},
    laptop={"runs": 50},
    full={"runs": 50},
    findings=findings,
)
