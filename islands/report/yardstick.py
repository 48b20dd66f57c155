"""Findings about confidence on real images (supplement F of the paper)."""

from __future__ import annotations

from collections.abc import Mapping

from islands.report.archives import median_over_runs
from islands.report.evidence import Evidence
from islands.report.findings import Certainty, Figure, Finding, Tested, Verdict
from islands.report.imagenet_claims import budget
from islands.store.results import Item


def surer_where_right(item: Item, networks: tuple[Tested, ...]) -> Finding:
    """Return whether a network is surer of the images that it has right than of those that it has wrong."""
    right, wrong = item["median_right"], item["median_wrong"]
    shown = ["none" if value is None else f"{value:.2%}" for value in (right, wrong)]
    known = None not in (right, wrong)
    return Finding(
        f"{item['item']} is surer of real images where it is right than where it is wrong.",
        Figure("median 60.3 %; right 86.7 %, wrong 33.7 %", Certainty.RECALLED_HIGH),
        f"median {item['median_confidence']:.2%}; right {shown[0]}, wrong {shown[1]} "
        f"({item['n']:,} {item['data']})",
        Verdict.of(right > wrong) if known else Verdict.NOT_COMPARABLE,
        "another network and other images than the paper's 50,000 of ImageNet"
        + ("" if item["n"] >= 1000 else f"; {item['n']} images are few"),
        item["median_confidence"],
        networks,
    )


def above_real_images(evolved: Evidence, tested: Mapping[str, Item], evaluations: int) -> Finding:
    """Return whether a network is surer of evolved images than of the real ones that it has right.

    Args:
        evolved: an experiment of a single run.
        tested: the networks on real images.
        evaluations: images that a run of the paper scored; with others, nothing is concluded.
    """
    archives, name = evolved.archives(), evolved.config.network.name
    own = evolved.results("test").get(evolved.config.network.label) or tested.get(name)
    median = median_over_runs(archives.confidence)
    claim = f"The images of {evolved.config.pipeline} have the confidence of real ones that are seen right."
    if own is None or own["median_right"] is None:
        return Finding(claim, None, f"{median:.2%}", Verdict.NOT_COMPARABLE, "not tested on real images")
    other = budget(archives, evaluations)
    reference = "the paper's section 3.4 has 88.11 % [quoted] against 86.7 % [recalled, high certainty]"
    parts = (other, reference if evolved.config.pipeline == "imagenet_cppn" else "")
    return Finding(
        claim,
        None,
        f"{median:.2%} against {own['median_right']:.2%} (median of {own['n']:,} {own['data']}, those right)",
        Verdict.NOT_COMPARABLE if other else Verdict.of(median >= own["median_right"]),
        "; ".join(filter(None, parts)),
        median,
        evolved.tested(evolved.config.network.label),
    )
