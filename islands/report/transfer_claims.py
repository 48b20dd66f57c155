"""Findings about transfer, out of a comparison's `transfer.json`."""

from __future__ import annotations

from typing import Any

from islands.report.evidence import Evidence
from islands.report.findings import Figure, Finding, Verdict


def transfers(
    evidence: Evidence, claim: str, papers: dict[tuple[str, str], Figure], paper: Figure | None, why: str
) -> list[Finding]:
    """Return for each ordered pair of networks whether images of the first fool the second more than chance.

    Args:
        evidence: of an experiment with the stage `transfer`.
        claim: with places for `{source}` and `{target}`.
        papers: what the paper has for a pair of sources and targets.
        paper: what it has for all others.
        why: it may differ.
    """
    document = evidence.document("transfer.json")
    chance = document["chance"]
    sources = {source["name"] for source in document["sources"]}
    pairs = [
        entry
        for entry in document["entries"]
        if entry["denominator"] == "all" and not entry["own"] and entry["source"] in sources and entry["n"]
    ]
    return [
        _transfer(
            entry,
            claim.format(source=entry["source"], target=entry["target"]),
            papers.get((entry["source"], entry["target"]), paper),
            chance,
            evidence,
            why,
        )
        for entry in pairs
    ]


def _transfer(
    entry: dict[str, Any], claim: str, paper: Figure | None, chance: float, evidence: Evidence, why: str
) -> Finding:
    top1 = entry["top1"]
    share, low, high = top1["k"] / top1["n"], top1["low"], top1["high"]
    return Finding(
        claim,
        paper,
        f"{top1['k']} of {top1['n']} images, {share:.1%} [{low:.1%}, {high:.1%}]; chance {chance:.1%}",
        # The lower end of the 95 % interval.
        Verdict.of(low > chance),
        why,
        share,
        evidence.tested(entry["source"], entry["target"]),
    )
