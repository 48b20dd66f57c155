"""Can a network be fooled that tells its label and nothing else? A question that the paper leaves open.

Chance and evolution on how stable a label is get the same number of queries; images that climbed the gradient
of another network need few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import Finding
from islands.experiments.parameters import LabelOnlyParameters
from islands.experiments.pipeline import Pipeline
from islands.texts import level, percent

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence


def findings(evidence: Evidence) -> list[Finding]:
    """Return a finding for each attack."""
    from statistics import median

    import numpy as np

    from islands.experiments.findings import effects

    threshold = evidence.parameters.threshold
    items = evidence.items("label-only").values()
    found = []
    for attack in dict.fromkeys(item["attack"] for item in items):
        attempts = [item for item in items if item["attack"] == attack]
        fooled = median(item["fooled"][-1] for item in attempts)
        named = median(item["named"][-1] for item in attempts)
        confidence = median(item["median"][-1] for item in attempts)
        queries = median(item["queries"][-1] for item in attempts)
        steps = [
            f"{level(share)} by {_first(attempts[0], share):,}"
            for share in (0.5, 1.0)
            if _first(attempts[0], share) is not None
        ]
        older = any("named_by" not in item for item in attempts)
        label = "their label, or by older results with a copy that has it" if older else "their label"
        effect = effects.median(
            effects.Sample(np.array([item["fooled"][-1] for item in attempts]), "attempts"),
            f"median share of classes fooled with {level(threshold)}",
            "fewer than half of the classes, as an attack has before it begins",
            0.5,
        )
        found.append(
            Finding(
                f"Without confidences, a network can be fooled: {attack}.",
                None,
                f"after {queries:,.0f} queries {percent(named)} of the classes have an image with {label}, "
                f"{percent(fooled)} one that fools the network with {level(threshold)}, median confidence "
                f"{percent(confidence)} (medians over {len(attempts)} attempts)"
                + (f"; fooled in the first: {', '.join(steps)}" if steps else ""),
                effect.verdict,
                "the paper needs confidences, and does not claim more: agrees from half of the classes on",
                fooled,
                evidence.tested(),
                effect,
            )
        )
    return found


def _first(item: dict[str, list[float]], share: float) -> int | None:
    """Return the queries after which that share of the classes was fooled; None: never."""
    pairs = zip(item["queries"], item["fooled"], strict=True)
    return next((int(queries) for queries, fooled in pairs if fooled >= share), None)


PIPELINE = Pipeline(
    name="label_only",
    summary="Fooling a digit network by its labels alone, with every query counted.",
    paper="open question (FAQ)",
    settings={
        "network": {"name": "lenet-mnist"},
        "encoding": {"name": "cppn"},
    },
    stages=("train", "test", "label-only"),
    parameters=LabelOnlyParameters,
    small={"parameters": {"queries": 10_000, "repeats": 7, "surrogate_images": 5}},
    laptop={},
    findings=findings,
)
