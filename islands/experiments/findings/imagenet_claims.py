"""Findings about archives of ImageNet's 1000 classes (sections 3.3 and 3.4 of the paper)."""

from __future__ import annotations

import numpy as np

from islands.experiments.findings import effects
from islands.experiments.findings.archives import Archives, median_over_runs
from islands.experiments.findings.claims import runs
from islands.experiments.findings.verdicts import Certainty, Figure, Finding, Tested, Verdict
from islands.store.genealogy import goal_switches
from islands.texts import level, percent
from islands.transfers.measures import DOGS_AND_CATS

NEAR = 0.1
"""How far apart two median confidences may be and still agree."""

IMAGENET_CLASSES = 1000

GENERATIONS_OF_SWITCHES = 1000
"""After which goal switches were counted in the follow-up (recalled)."""

OTHER_NETWORK = "another network than the paper's CaffeNet"


def budget(archives: Archives, evaluations: int) -> str:
    """Return how many images per run were scored beside the paper's; empty where they were as many."""
    least, most = int(archives.evaluations.min()), int(archives.evaluations.max())
    if least < evaluations:
        return f"smaller budget: {least:,} of {evaluations:,} images a run"
    return f"larger budget: {most:,} for {evaluations:,} images a run" if most > evaluations else ""


def _obstacle(archives: Archives, evaluations: int) -> str:
    """Return why the paper's figures do not compare; empty where they do."""
    count = archives.confidence.shape[1]
    other = "" if count == IMAGENET_CLASSES else f"{count:,} classes, not the 1000 of ImageNet"
    return "; ".join(filter(None, [other, budget(archives, evaluations)]))


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
    value, obstacle = median_over_runs(archives.confidence), _obstacle(archives, evaluations)
    effect = effects.median(
        effects.sample(archives.confidence),
        "median confidence",
        f"more than {level(NEAR)} away from {level(figure)}, as generation 0 is",
        figure - NEAR,
        most=figure + NEAR,
    )
    return Finding(
        claim,
        paper,
        f"{percent(value)}, median over {runs(archives.runs)}; best class "
        f"{percent(archives.confidence.max())}",
        Verdict.NOT_COMPARABLE if obstacle else effect.verdict,
        "; ".join(filter(None, [obstacle, OTHER_NETWORK])),
        value,
        networks,
        effect,
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
    """Return whether at least `least` of 1000 classes come to a confidence, in the median run."""
    limit, count = np.float32(confidence), archives.confidence.shape[1]
    value, obstacle = np.median((archives.confidence >= limit).sum(1)), _obstacle(archives, evaluations)
    first, last = (np.median(archives.curves[:, epoch], 0) >= limit for epoch in (0, -1))
    effect = effects.share(
        int((last & ~first).sum()),
        count,
        "classes",
        f"share of classes that come to {level(confidence)}",
        "generation 0: no class more than there",
        least / IMAGENET_CLASSES,
        max(float(first.mean()), 1 / count),
    )
    return Finding(
        claim,
        paper,
        f"{value:g} of {count} classes, median over {runs(archives.runs)}",
        Verdict.NOT_COMPARABLE if obstacle else effect.verdict,
        "; ".join(filter(None, [obstacle, OTHER_NETWORK])),
        float(value),
        networks,
        effect,
    )


def cppn_above_direct(cppn: Archives, direct: Archives | None, networks: tuple[Tested, ...]) -> Finding:
    """Return whether confidences of patterns exceed those of noise, and by more than before evolution."""
    claim = "Patterns reach higher confidence than noise, which has more generations."
    paper = Figure("88.11 % against 21.59 %, p < 0.0001", Certainty.QUOTED)
    if direct is None:
        return Finding(
            claim,
            paper,
            "no images of noise beside these",
            Verdict.NOT_COMPARABLE,
            "run imagenet_direct, and give both folders: islands findings CPPN DIRECT",
        )
    medians = (
        f"{percent(median_over_runs(cppn.confidence))} against "
        f"{percent(median_over_runs(direct.confidence))} "
        f"(at generation 0, {percent(median_over_runs(cppn.curves[:, 0]))} and "
        f"{percent(median_over_runs(direct.curves[:, 0]))})"
    )
    if cppn.confidence.shape[1] != direct.confidence.shape[1]:
        why = "the networks have different numbers of classes"
        return Finding(claim, paper, medians, Verdict.NOT_COMPARABLE, why)
    spent = direct.evaluations.mean() / cppn.evaluations.mean()
    effect = effects.advantage(cppn, direct)
    return Finding(
        claim,
        paper,
        f"{medians}; noise had {spent:.1f} times the images scored",
        effect.verdict if spent >= 1 else Verdict.NOT_COMPARABLE,
        OTHER_NETWORK if spent >= 1 else "noise had fewer images than patterns",
        effect.size,
        networks,
        effect,
    )


def dogs_and_cats(archives: Archives, networks: tuple[Tested, ...]) -> Finding:
    """Return whether dogs and cats end lower than all other classes, and evolution gained less for them.

    The classes differ before anything evolves, so that their confidences alone would show nothing.
    """
    claim = "Dogs and cats (classes 157 to 286) have lower confidence than the other classes."
    paper = Figure("visibly low, no test given", Certainty.RECALLED_HIGH)
    count = archives.confidence.shape[1]
    if count != IMAGENET_CLASSES:
        why = f"{count:,} classes, not the 1000 of ImageNet"
        return Finding(claim, paper, "no such classes", Verdict.NOT_COMPARABLE, why)
    animals = np.isin(np.arange(count), np.array(DOGS_AND_CATS))
    final, start = effects.log_odds(archives.curves[:, -1]), effects.log_odds(archives.curves[:, 0])
    null = "permuted classes, and generation 0: the two groups gain alike"
    compared = [
        effects.apart(
            effects.Sample(np.median(values[:, ~animals], 0), "classes"),
            effects.Sample(np.median(values[:, animals], 0), "classes"),
            measure,
            null,
        )
        for values, measure in ((final, "log-odds"), (final - start, "log-odds gained since generation 0"))
    ]
    effect = min(compared, key=lambda each: each.size or 0)
    inside, outside = (median_over_runs(archives.confidence[:, rows]) for rows in (animals, ~animals))
    return Finding(
        claim,
        paper,
        f"{percent(inside)} against {percent(outside)} of all others; delta of confidence "
        f"{compared[0].size:.2f}, of log-odds gained since generation 0 {compared[1].size:.2f}",
        effect.verdict,
        f"{OTHER_NETWORK}; early in evolution few classes are high at all",
        effect.size,
        networks,
        effect,
    )


def switched_goals(archives: Archives, networks: tuple[Tested, ...] = ()) -> Finding:
    """Return the share of champions that came from the champion of another class."""
    count = archives.confidence.shape[1]
    found = [goal_switches(history, count) for history in archives.history]
    switches = np.array([each.switches for each in found], np.int64).reshape(-1, count)
    champions = np.array([each.takeovers for each in found], np.int64).reshape(-1, count)
    value = float(switches.sum() / champions.sum()) if champions.any() else None
    lasted = archives.generations >= GENERATIONS_OF_SWITCHES
    effect = effects.median(
        effects.share_of(switches, champions),
        "median share of champions",
        "classes that evolve apart: no champion comes from another class",
        0.1,
    )
    return Finding(
        "New champions are often children of another class's champion (goal switching).",
        Figure("17.9 % of champions, in Innovation Engines", Certainty.RECALLED_LOW),
        f"{switches.sum():,} of {champions.sum():,} champions"
        + ("" if value is None else f", {percent(value)}"),
        effect.verdict if value is not None and lasted else Verdict.NOT_COMPARABLE,
        f"agrees from 10 % on, after {GENERATIONS_OF_SWITCHES:,} generations as theirs: early on, when cells "
        "are easy to take, far more champions come from other classes",
        value,
        networks,
        effect,
    )
