"""Findings about confidence on real images (supplement F of the paper)."""

from __future__ import annotations

import numpy as np

from islands.experiments.findings import effects
from islands.experiments.findings.archives import median_over_runs
from islands.experiments.findings.evidence import Evidence
from islands.experiments.findings.imagenet_claims import NEAR, budget
from islands.experiments.findings.verdicts import FEWEST, Certainty, Figure, Finding, Verdict
from islands.experiments.items import Item
from islands.texts import level, percent

STAGE = "test"

OLDER = (
    "tested by an older version, which kept medians alone: remove results/test, and launch the experiment "
    "again"
)


def surer_where_right(evidence: Evidence, name: str) -> Finding:
    """Return whether a network is surer of the images that it has right than of those that it has wrong."""
    item = evidence.item(STAGE, name)
    right, wrong = item["median_right"], item["median_wrong"]
    shown = ["none" if value is None else percent(value) for value in (right, wrong)]
    arrays = evidence.arrays(STAGE, name)
    of_wrong = round(item["n"] * (1 - item["accuracy"]))
    why = f"another network and other images than the paper's 50,000 of ImageNet; {of_wrong:,} are wrong"
    effect = None
    if arrays is not None:
        hits = arrays["right"].astype(bool)
        effect = effects.apart(
            effects.Sample(arrays["confidence"][hits], "real images"),
            effects.Sample(arrays["confidence"][~hits], "real images"),
            "confidence, right against wrong",
            "permuted: as sure where it is wrong",
        )
        verdict = effect.verdict
    elif min(of_wrong, item["n"] - of_wrong) < FEWEST:
        verdict = Verdict.TOO_FEW
    else:
        verdict, why = Verdict.NOT_COMPARABLE, OLDER
    return Finding(
        f"{item['item']} is surer of real images where it is right than where it is wrong.",
        Figure("median 60.3 %; right 86.7 %, wrong 33.7 %", Certainty.RECALLED_HIGH),
        f"median {percent(item['median_confidence'])}; right {shown[0]}, wrong {shown[1]} "
        f"({item['n']:,} {item['data']})",
        verdict,
        why,
        item["median_confidence"],
        evidence.tested(name),
        effect,
    )


def above_real_images(evolved: Evidence, tested: Evidence, evaluations: int) -> Finding:
    """Return whether a network is as sure of evolved images as of the real ones that it has right.

    Args:
        evolved: an experiment of a single run.
        tested: the networks on real images.
        evaluations: images that a run of the paper scored; with others, nothing is concluded.
    """
    archives, label = evolved.archives(), evolved.config.network.label
    source, name = evolved, label
    if label not in evolved.items(STAGE):
        source, name = tested, evolved.config.network.name
    own: Item | None = source.items(STAGE).get(name)
    value = median_over_runs(archives.confidence)
    claim = f"The images of {evolved.config.pipeline} have the confidence of real ones that are seen right."
    if own is None or own["median_right"] is None:
        return Finding(claim, None, percent(value), Verdict.NOT_COMPARABLE, "not tested on real images")
    arrays = source.arrays(STAGE, name)
    effect = None
    if arrays is not None:
        real = arrays["confidence"][arrays["right"].astype(bool)]
        effect = effects.apart(
            effects.sample(archives.confidence),
            effects.Sample(real.astype(np.float64) - NEAR, "real images"),
            f"confidence, evolved against real less {level(NEAR)}",
            f"{level(NEAR)} below real images, as generation 0 is",
        )
    smaller = budget(archives, evaluations)
    reference = "the paper's section 3.4 has 88.11 % [quoted] against 86.7 % [recalled, high certainty]"
    parts = (
        smaller,
        "" if effect else OLDER,
        reference if evolved.config.pipeline == "imagenet_cppn" else "",
    )
    return Finding(
        claim,
        None,
        f"{percent(value)} against {percent(own['median_right'])} (median of {own['n']:,} {own['data']}, "
        "those right)",
        Verdict.NOT_COMPARABLE if smaller or effect is None else effect.verdict,
        "; ".join(filter(None, parts)),
        value,
        evolved.tested(label),
        effect,
    )
