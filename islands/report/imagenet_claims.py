"""Findings about archives of ImageNet's 1000 classes (sections 3.3 and 3.4 of the paper)."""

from __future__ import annotations

import numpy as np

from islands.report.archives import Archives, mann_whitney, median_over_runs
from islands.report.claims import runs, shown
from islands.report.findings import Certainty, Figure, Finding, Tested, Verdict
from islands.report.transfer import DOGS_AND_CATS
from islands.store.genealogy import goal_switches

NEAR = 0.1
"""How far apart two median confidences may be and still agree."""

SIGNIFICANCE = 1e-4
"""The level that the paper reports for the test of Mann and Whitney."""

GENERATIONS_OF_SWITCHES = 1000
"""After which goal switches were counted in the follow-up (recalled)."""

OTHER_NETWORK = "another network than the paper's CaffeNet"


def budget(archives: Archives, evaluations: int) -> str:
    """Return how many images per run were scored beside the paper's; empty where they were as many."""
    least, most = int(archives.evaluations.min()), int(archives.evaluations.max())
    if least < evaluations:
        return f"smaller budget: {least:,} of {evaluations:,} images a run"
    return f"larger budget: {most:,} for {evaluations:,} images a run" if most > evaluations else ""


def median(
    claim: str,
    paper: Figure,
    figure: float,
    archives: Archives,
    evaluations: int,
    networks: tuple[Tested, ...],
) -> Finding:
    """Return whether the median confidence is within `NEAR` of the paper's.

    Args:
        claim: in words.
        paper: its figure as it is printed.
        figure: the same as a number.
        archives: ours.
        evaluations: images that a run of the paper scored; with others, nothing is compared.
        networks: ours on real images.
    """
    value, other = median_over_runs(archives.confidence), budget(archives, evaluations)
    near = Verdict.of(abs(value - figure) <= NEAR)
    return Finding(
        claim,
        paper,
        f"{value:.2%}, median over {runs(archives.runs)}; best class {archives.confidence.max():.2%}",
        Verdict.NOT_COMPARABLE if other else near,
        "; ".join(filter(None, [other, OTHER_NETWORK])),
        value,
        networks,
    )


def classes_at(
    claim: str,
    paper: Figure,
    confidence: float,
    least: int,
    archives: Archives,
    evaluations: int,
    networks: tuple[Tested, ...],
) -> Finding:
    """Return whether at least `least` classes have a confidence, in the median run."""
    counts = (archives.confidence >= np.float32(confidence)).sum(1)
    value, other = float(np.median(counts)), budget(archives, evaluations)
    return Finding(
        claim,
        paper,
        f"{value:g} of {archives.confidence.shape[1]} classes, median over {runs(archives.runs)}",
        Verdict.NOT_COMPARABLE if other else Verdict.of(value >= least),
        "; ".join(filter(None, [other, OTHER_NETWORK])),
        value,
        networks,
    )


def cppn_above_direct(cppn: Archives, direct: Archives | None, networks: tuple[Tested, ...]) -> Finding:
    """Return whether confidences of patterns exceed those of noise by the test of Mann and Whitney."""
    claim = "Patterns reach higher confidence than noise, which has more generations (Mann-Whitney U)."
    paper = Figure("88.11 % against 21.59 %, p < 0.0001", Certainty.QUOTED)
    if direct is None:
        return Finding(
            claim,
            paper,
            "no images of noise beside these",
            Verdict.NOT_COMPARABLE,
            "run imagenet_direct, and give both folders: islands findings CPPN DIRECT",
        )
    p = mann_whitney(cppn.confidence, direct.confidence)
    spent = direct.evaluations.mean() / cppn.evaluations.mean()
    return Finding(
        claim,
        paper,
        f"{median_over_runs(cppn.confidence):.2%} against {median_over_runs(direct.confidence):.2%}, "
        f"{shown(p)}; noise had {spent:.1f} times the images scored",
        Verdict.of(p < SIGNIFICANCE) if spent >= 1 else Verdict.NOT_COMPARABLE,
        OTHER_NETWORK if spent >= 1 else "noise had fewer images than patterns",
        p,
        networks,
    )


def dogs_and_cats(archives: Archives, networks: tuple[Tested, ...]) -> Finding:
    """Return whether dogs and cats score lower than all other classes."""
    animals = np.isin(np.arange(archives.confidence.shape[1]), np.array(DOGS_AND_CATS))
    inside, outside = archives.confidence[:, animals], archives.confidence[:, ~animals]
    p = mann_whitney(outside, inside)
    return Finding(
        "Dogs and cats (classes 157 to 286) have lower confidence than the other classes.",
        Figure("visibly low, no test given", Certainty.RECALLED_HIGH),
        f"{median_over_runs(inside):.2%} against {median_over_runs(outside):.2%} of all others, {shown(p)}",
        Verdict.of(p < SIGNIFICANCE),
        f"{OTHER_NETWORK}; early in evolution few classes are high at all",
        p,
        networks,
    )


def switched_goals(archives: Archives, networks: tuple[Tested, ...] = ()) -> Finding:
    """Return the share of champions that came from the champion of another class."""
    found = [goal_switches(history, archives.confidence.shape[1]) for history in archives.history]
    switches = sum(int(each.switches.sum()) for each in found)
    champions = sum(int(each.champions.sum()) for each in found)
    value = switches / champions if champions else None
    lasted = archives.generations >= GENERATIONS_OF_SWITCHES
    return Finding(
        "New champions are often children of another class's champion (goal switching).",
        Figure("17.9 % of champions, in Innovation Engines", Certainty.RECALLED_LOW),
        f"{switches:,} of {champions:,} champions" + ("" if value is None else f", {value:.1%}"),
        Verdict.of(value >= 0.1) if value is not None and lasted else Verdict.NOT_COMPARABLE,
        f"agrees from 10 % on, after {GENERATIONS_OF_SWITCHES:,} generations as theirs: early on, when cells "
        "are easy to take, far more champions come from other classes",
        value,
        networks,
    )
