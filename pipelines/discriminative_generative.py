"""Are generative models fooled as discriminative ones are? A question that the paper leaves open.

Five models of digits, both encodings; how far the elites lie from real digits is measured by the likelihood
under the generative model, and by the distance to the nearest training digit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from islands.experiments.findings.verdicts import Finding, Tested, Verdict
from islands.experiments.parameters import FamiliesParameters
from islands.experiments.pipeline import Pipeline
from islands.texts import percent

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence


KINDS = {"direct": "Noise fools", "cppn": "Patterns that mean nothing fool"}


def findings(evidence: Evidence) -> list[Finding]:
    """Return a finding for each model and encoding."""
    digits = evidence.item("families", "test digits")
    return [
        _finding(f"{claim} {network}.", evidence.item("families", f"{network} {encoding}"), digits)
        for network in evidence.parameters.networks
        for encoding, claim in KINDS.items()
    ]


def _finding(claim: str, row: dict[str, Any], digits: dict[str, Any]) -> Finding:
    import numpy as np

    from islands.experiments.findings import effects

    ours = (
        f"median {percent(row['median'])}, {percent(row['at_99'])} at 99 %; "
        f"log p(x) {row['log_likelihood']:,.0f} nats, {row['distance']:.1f} to the nearest digit, "
        f"{percent(row['unlikely'])} less likely than 99 of 100 digits. "
        f"Held-back digits: {digits['log_likelihood']:,.0f} nats, {digits['distance']:.1f} to the nearest"
    )
    tested = (Tested(row["network"], row["accuracy"], row["test_images"], row["tested_on"]),)
    if "unlikely_images" not in row:
        why = "made before it was kept which images are less likely than digits"
        return Finding(claim, None, ours, Verdict.NOT_COMPARABLE, why, networks=tested)
    # An image that may be taken for a digit fools nobody.
    fooled = (np.array(row["confidence"]) >= 0.99) & np.array(row["unlikely_images"])
    effect = effects.median(
        effects.Sample(fooled.mean(1), "runs"),
        "median share of digits with such an image of 99 %",
        "fewer than half of the digits, as at generation 0",
        0.5,
    )
    return Finding(
        claim,
        None,
        f"{percent(fooled.mean())} of {fooled.size} images are at 99 % and less likely than 99 of 100 "
        f"digits. {ours}",
        effect.verdict,
        "the paper leaves the question open: agrees from half of the digits on",
        float(fooled.mean()),
        tested,
        effect,
    )


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
    laptop={},
    findings=findings,
)
