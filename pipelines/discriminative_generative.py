"""Are generative models fooled as discriminative ones are? A question that the paper leaves open.

Five models of digits, both encodings; how far the elites lie from real digits is measured by the likelihood
under the generative model, and by the distance to the nearest training digit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.pipelines.base import Pipeline
from islands.report.findings import Finding, Tested, Verdict
from islands.stages.parameters import FamiliesParameters

if TYPE_CHECKING:
    from islands.report.evidence import Evidence


def findings(evidence: Evidence) -> list[Finding]:
    """Return a finding for each model."""
    items = evidence.results("families")
    usual = items["test digits"]
    found = []
    for network in evidence.parameters.networks:
        rows = {encoding: items[f"{network} {encoding}"] for encoding in ("direct", "cppn")}
        parts = [
            f"{encoding}: median {row['median']:.2%}, {row['at_99']:.0%} at 99 %; log p(x) "
            f"{row['log_likelihood']:,.0f} nats, {row['distance']:.1f} to the nearest digit, "
            f"{row['unlikely']:.0%} less likely than 99 of 100 digits"
            for encoding, row in rows.items()
        ]
        row = rows["direct"]
        found.append(
            Finding(
                f"Images that mean nothing fool {network}.",
                None,
                f"{'. '.join(parts)}. Held-back digits: {usual['log_likelihood']:,.0f} nats, "
                f"{usual['distance']:.1f} to the nearest",
                Verdict.NOT_COMPARABLE,
                "the paper leaves the question open",
                max(row["at_99"] for row in rows.values()),
                (Tested(network, row["accuracy"], row["test_images"], row["tested_on"]),),
            )
        )
    return found


PIPELINE = Pipeline(
    name="discriminative_generative",
    summary="Linear, kernel, neural and generative models of digits: which are fooled?",
    paper="open question (FAQ)",
    settings={
        "runs": 10,
        "network": {"name": "lenet-mnist"},
        "encoding": {"name": "cppn"},
        "evolve": {"initial": 200, "children": 200, "generations": 200, "generations_per_epoch": 10},
    },
    stages=("families",),
    parameters=FamiliesParameters,
    small={
        "runs": 2,
        "evolve": {"initial": 100, "children": 100, "generations": 100, "generations_per_epoch": 20},
        "parameters": {"epochs": 3},
    },
    findings=findings,
)
