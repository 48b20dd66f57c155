"""The same architecture with another training: images evolved against one LeNet, shown to another.

Section 3.5 of the paper, first case: two networks of equal architecture that differ in their random start. It
has 300 images a network, 30 runs of 10 digits, as here. A launch has half the paper's children and
generations, which are 200 each; the full budget has all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import Certainty, Figure, Finding
from islands.experiments.pipeline import Pipeline, crossed

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with section 3.5, first case."""
    from islands.experiments.findings.transfer_claims import transfers

    generations = evidence.config.evolve.generations
    return transfers(
        evidence,
        "Digits evolved against {source} fool {target}, of equal architecture, more often than chance.",
        {},
        Figure("43.3 % and 48.7 % of images", Certainty.RECALLED_LOW),
        "other trainings" + (f"; {generations} generations, the paper has 200" if generations < 200 else ""),
    )


_ALL_IMAGES = {"evolve": {"initial": 200, "children": 200, "generations": 200}}

PIPELINE = Pipeline(
    name="lenet_pair",
    summary="Patterns for two LeNets of different seeds, each shown to the other.",
    paper="section 3.5",
    settings={
        "runs": 30,
        "network": {"name": "lenet-mnist"},
        "encoding": {"name": "cppn"},
        "evolve": {"initial": 100, "children": 100, "generations": 100, "generations_per_epoch": 10},
    },
    stages=("train", "evolve", "transfer", "test"),
    variants=crossed({"a": {"name": "lenet-mnist"}, "b": {"name": "lenet:1"}}),
    small={"evolve": {"generations": 40}},
    laptop=_ALL_IMAGES,
    full=_ALL_IMAGES,
    findings=findings,
)
