"""Does a class for everything else protect a network? A question that the paper's readers ask.

A digit network gets a class of noise, of random CPPNs, or of clothes (Fashion-MNIST); then both encodings
evolve against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.pipelines.base import Pipeline
from islands.report.findings import Finding, Tested, Verdict
from islands.stages.parameters import GarbageParameters

if TYPE_CHECKING:
    from islands.report.evidence import Evidence


def findings(evidence: Evidence) -> list[Finding]:
    """Return a finding for each kind of garbage: both encodings, beside a network without such a class."""
    items = evidence.results("garbage")
    found = []
    for source in evidence.parameters.sources:
        rows = {encoding: items[f"{source} {encoding}"] for encoding in ("direct", "cppn")}
        fooled = "; ".join(
            f"{encoding}: median {row['median']:.2%}, {row['at_99']:.0%} of {row['images']} images at 99 %"
            for encoding, row in rows.items()
        )
        row = rows["direct"]
        held_back = row["recognised"]
        recognised = held_back and ", ".join(f"{name} {share:.0%}" for name, share in held_back.items())
        found.append(
            Finding(
                "A network without a class for garbage is fooled."
                if source == "none"
                else f"A class for garbage made of {source} protects a digit network.",
                None,
                fooled + (f". Recognised as garbage when held back: {recognised}" if recognised else ""),
                Verdict.NOT_COMPARABLE,
                "the paper leaves the question open",
                max(row["at_99"] for row in rows.values()),
                (Tested(f"garbage class: {source}", row["accuracy"], row["test_images"], row["tested_on"]),),
            )
        )
    return found


PIPELINE = Pipeline(
    name="none_of_the_above",
    summary="A class for noise, random patterns or clothes, and evolution against it.",
    paper="open question (FAQ)",
    settings={
        "runs": 30,
        "network": {"name": "lenet-mnist"},
        "encoding": {"name": "cppn"},
        "evolve": {"initial": 200, "children": 200, "generations": 200, "generations_per_epoch": 10},
    },
    stages=("garbage",),
    parameters=GarbageParameters,
    small={
        "runs": 4,
        "evolve": {"initial": 100, "children": 100, "generations": 100, "generations_per_epoch": 20},
        "parameters": {"training_images": 6000, "garbage_images": 1000, "epochs": 5},
    },
    findings=findings,
)
