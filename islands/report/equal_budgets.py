"""Findings about two ways to spend the same number of images."""

from __future__ import annotations

from collections.abc import Mapping

from islands.errors import InputError
from islands.report.archives import Archives, mann_whitney, median_over_runs
from islands.report.claims import runs, shown
from islands.report.findings import Figure, Finding, Tested, Verdict

SIGNIFICANCE = 0.01


def compare(
    claim: str,
    better: str,
    worse: str,
    archives: Mapping[str, Archives],
    networks: tuple[Tested, ...],
    *,
    paper: Figure | None = None,
    why: str = "",
) -> Finding:
    """Return whether the confidences of one variant exceed those of another (Mann-Whitney U, p < 0.01).

    Raises:
        InputError: they did not score as many images.
    """
    first, second = archives[better], archives[worse]
    if sorted(first.evaluations.tolist()) != sorted(second.evaluations.tolist()):
        raise InputError(
            f"{better} scored {first.evaluations.tolist()} images and {worse} {second.evaluations.tolist()};"
            " expected equal budgets: launch both with the same settings"
        )
    p = mann_whitney(first.confidence, second.confidence)
    medians = [median_over_runs(each.confidence) for each in (first, second)]
    return Finding(
        claim,
        paper,
        f"median {medians[0]:.3%} against {medians[1]:.3%}, {shown(p)}; {runs(first.runs)} of "
        f"{int(first.evaluations[0]):,} images each",
        Verdict.of(p < SIGNIFICANCE),
        why,
        p,
        networks,
    )
