"""Findings that several pipelines draw."""

from __future__ import annotations

import numpy as np

from islands.experiments.findings import effects
from islands.experiments.findings.archives import Archives, median_over_runs
from islands.experiments.findings.verdicts import Figure, Finding, Tested, Verdict
from islands.texts import level, percent

CHILDREN = 200
"""Images in a generation of the paper's runs on digits (verified: they stand in the released code)."""


def other_budget(archives: Archives) -> str:
    """Return how many images a generation has beside the paper's; empty where they are as many."""
    found = archives.evaluations.max() / (archives.generations + 1)
    if found == CHILDREN:
        return ""
    size = "larger" if found > CHILDREN else "smaller"
    return f"{size} budget: {found:,.0f} for {CHILDREN} images a generation"


def in_generations(verdict: Verdict, archives: Archives) -> Verdict:
    """Return the verdict on a level reached by a generation; more images in each support nothing."""
    larger = other_budget(archives).startswith("larger")
    return Verdict.NOT_COMPARABLE if larger and verdict is Verdict.AGREES else verdict


def stopped_early(
    claim: str, paper: Figure | None, archives: Archives, generation: int, networks: tuple[Tested, ...]
) -> Finding:
    """Return that a claim is about a generation which was not reached, or not recorded."""
    value = median_over_runs(archives.confidence)
    return Finding(
        claim,
        paper,
        f"stopped at generation {archives.generations:,}, with a median of {percent(value)}",
        Verdict.NOT_COMPARABLE,
        f"the claim is about generation {generation:,}: a smaller budget",
        value,
        networks,
    )


def median_at(
    claim: str,
    paper: Figure | None,
    archives: Archives,
    generation: int,
    least: float,
    networks: tuple[Tested, ...],
    why: str = "",
) -> Finding:
    """Return whether the median over runs of median confidence was at least `least` after a generation."""
    confidence = archives.at(generation)
    if confidence is None:
        return stopped_early(claim, paper, archives, generation, networks)
    value = median_over_runs(confidence)
    effect = effects.median(
        effects.Sample(np.median(confidence, 1), "runs"),
        "median of the runs' medians",
        f"runs stay below {level(least)}, as generation 0 does",
        least,
    )
    return Finding(
        claim,
        paper,
        f"{percent(value)}, median over {runs(archives.runs)} (lowest class {percent(confidence.min())})",
        in_generations(effect.verdict, archives),
        "; ".join(filter(None, [other_budget(archives), why])),
        value,
        networks,
        effect,
    )


def every_run_reached(
    claim: str,
    paper: Figure | None,
    archives: Archives,
    generation: int,
    confidence: float,
    networks: tuple[Tested, ...],
    why: str = "",
) -> Finding:
    """Return whether in every run all classes had a confidence by some generation."""
    if archives.at(generation) is None:
        return stopped_early(claim, paper, archives, generation, networks)
    reached = archives.reached(confidence)
    done = sorted(each for each in reached if each is not None)
    in_time = sum(each <= generation for each in done)
    span = f", at generations {done[0]} to {done[-1]}" if done else ""
    effect = effects.share(
        in_time,
        archives.runs,
        "runs",
        "share of runs",
        "half of the runs at most; at generation 0, none has",
        1,
        0.5,
    )
    return Finding(
        claim,
        paper,
        f"{in_time} of {runs(archives.runs)} by generation {generation}; "
        f"{len(done)} by generation {archives.generations:,}{span}",
        in_generations(effect.verdict, archives),
        "; ".join(filter(None, [other_budget(archives), why])),
        in_time / archives.runs,
        networks,
        effect,
    )


def runs(count: int) -> str:
    """Return a number of runs in words."""
    return "1 run" if count == 1 else f"{count:,} runs"
