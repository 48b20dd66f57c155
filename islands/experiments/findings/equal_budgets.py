"""Findings about two ways to spend the same number of images."""

from __future__ import annotations

from collections.abc import Mapping

from islands.errors import InputError
from islands.experiments.findings import effects
from islands.experiments.findings.archives import Archives, median_over_runs
from islands.experiments.findings.claims import runs
from islands.experiments.findings.verdicts import Figure, Finding, Tested
from islands.texts import percent


def compare(
    claim: str,
    better: str,
    worse: str,
    archives: Mapping[str, Archives],
    networks: tuple[Tested, ...],
    *,
    beyond_start: bool = True,
    paper: Figure | None = None,
    why: str = "",
) -> Finding:
    """Return whether the confidences of one variant exceed those of another.

    Args:
        claim: in words.
        better: the variant said to be higher.
        worse: the other.
        archives: of all variants.
        networks: ours on real images.
        beyond_start: whether what it was ahead at generation 0 does not count.
        paper: its figure.
        why: ours may differ.

    Raises:
        InputError: they did not score as many images.
    """
    first, second = archives[better], archives[worse]
    if sorted(first.evaluations.tolist()) != sorted(second.evaluations.tolist()):
        raise InputError(
            f"{better} scored {first.evaluations.tolist()} images and {worse} {second.evaluations.tolist()};"
            " expected equal budgets: launch both with the same settings"
        )
    effect = effects.advantage(first, second, beyond_start=beyond_start)
    final, start = (
        [median_over_runs(each.curves[:, epoch]) for each in (first, second)] for epoch in (-1, 0)
    )
    return Finding(
        claim,
        paper,
        f"median {percent(final[0])} against {percent(final[1])} (at generation 0, {percent(start[0])} and "
        f"{percent(start[1])}); "
        f"{runs(first.runs)} of {int(first.evaluations[0]):,} images each",
        effect.verdict,
        why,
        effect.size,
        networks,
        effect,
    )
