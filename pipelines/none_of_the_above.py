"""Does a class for everything else protect a network? A question that the paper's readers ask.

A digit network gets a class of noise, of random CPPNs, or of clothes (Fashion-MNIST); then both encodings
evolve against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from islands.experiments.findings.verdicts import Finding, Tested, Verdict
from islands.experiments.parameters import GarbageParameters
from islands.experiments.pipeline import Pipeline
from islands.texts import level, percent

if TYPE_CHECKING:
    from islands.experiments.findings.effects import Sample
    from islands.experiments.findings.evidence import Evidence


KINDS = {"direct": "noise", "cppn": "patterns"}
"""What each encoding evolves."""

PROTECTION = 0.1
"""By how much evolved confidences must fall for a class to protect."""


def findings(evidence: Evidence) -> list[Finding]:
    """Return a finding for each kind of garbage and encoding, beside a network without such a class."""
    items = evidence.items("garbage")
    return [
        _unprotected(evidence.item("garbage", f"none {encoding}"), what)
        if source == "none"
        else _protected(evidence.item("garbage", f"{source} {encoding}"), items.get(f"none {encoding}"), what)
        for source in evidence.parameters.sources
        for encoding, what in KINDS.items()
    ]


def _unprotected(row: dict[str, Any], what: str) -> Finding:
    from islands.experiments.findings import effects

    effect = effects.median(
        _by_run(row),
        "median of the runs' medians",
        "runs stay below 99 %, as generation 0 does",
        0.99,
    )
    return Finding(
        f"A network without a class for garbage is fooled by {what}.",
        None,
        _fooled(row),
        effect.verdict,
        "the paper leaves the question open: agrees from a median of 99 % on",
        row["at_99"],
        _tested(row),
        effect,
    )


def _protected(row: dict[str, Any], without: dict[str, Any] | None, what: str) -> Finding:
    from islands.experiments.findings import effects

    claim = f"A class for garbage made of {row['source']} protects a digit network from {what}."
    held_back = ", ".join(f"{name} {percent(share)}" for name, share in row["recognised"].items())
    ours = f"{_fooled(row)}. Recognised as garbage when held back: {held_back}"
    if without is None:
        why = "no network without such a class beside: parameters.sources lacks none"
        return Finding(claim, None, ours, Verdict.NOT_COMPARABLE, why, row["at_99"], _tested(row))
    unprotected = _by_run(without)
    effect = effects.apart(
        unprotected._replace(values=unprotected.values - PROTECTION),
        _by_run(row),
        f"the runs' medians, without such a class and less {level(PROTECTION)}, against with it",
        f"a network without such a class, less {level(PROTECTION)}",
    )
    return Finding(
        claim,
        None,
        f"{ours}. Without such a class: {_fooled(without)}",
        effect.verdict,
        f"the paper leaves the question open: agrees where runs lose {level(PROTECTION)} or more",
        row["at_99"],
        _tested(row),
        effect,
    )


def _by_run(row: dict[str, Any]) -> Sample:
    import numpy as np

    from islands.experiments.findings.effects import Sample

    return Sample(np.median(np.array(row["confidence"]), 1), "runs")


def _fooled(row: dict[str, Any]) -> str:
    return f"median {percent(row['median'])}, {percent(row['at_99'])} of {row['images']} images at 99 %"


def _tested(row: dict[str, Any]) -> tuple[Tested, ...]:
    name = f"garbage class: {row['source']}"
    return (Tested(name, row["accuracy"], row["test_images"], row["tested_on"]),)


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
    laptop={},
    findings=findings,
)
