"""Findings about transfer, out of a comparison's `transfer.json`."""

from __future__ import annotations

from typing import Any

import numpy as np

from islands.experiments.findings import effects
from islands.experiments.findings.evidence import Evidence
from islands.experiments.findings.verdicts import Figure, Finding, Verdict
from islands.texts import percent

LEAST = 0.01
"""Share of images by which transfer must exceed that of a control; and by half of chance."""


def transfers(
    evidence: Evidence, claim: str, papers: dict[tuple[str, str], Figure], paper: Figure | None, why: str
) -> list[Finding]:
    """Return for each ordered pair of networks whether images of the first fool the second more than chance.

    Chance is what images have that nobody evolved: of noise, random patterns and generation 0, the one that
    the second network takes most often for what it stands for.

    Args:
        evidence: of an experiment with the stage `transfer`.
        claim: with places for `{source}` and `{target}`.
        papers: what the paper has for a pair of sources and targets.
        paper: what it has for all others.
        why: it may differ.
    """
    document = evidence.document("transfer.json")
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
            document,
            evidence,
            why,
        )
        for entry in pairs
    ]


def _transfer(
    entry: dict[str, Any],
    claim: str,
    paper: Figure | None,
    document: dict[str, Any],
    evidence: Evidence,
    why: str,
) -> Finding:
    source, target, top1 = entry["source"], entry["target"], entry["top1"]
    share = top1["k"] / top1["n"]
    ours = (
        f"{top1['k']} of {top1['n']} images, {percent(share)} [{percent(top1['low'])}, "
        f"{percent(top1['high'])}]; chance {percent(document['chance'])}"
    )
    networks = evidence.tested(source, target)
    names = ("uniform noise", "random CPPNs", f"generation 0 of {source}")
    controls = [
        each
        for each in document["entries"]
        if each["target"] == target and each["source"] in names and each["denominator"] == "all" and each["n"]
    ]
    classes = [
        each for each in document.get("by_class", ()) if (each["source"], each["target"]) == (source, target)
    ]
    if not controls or not classes:
        missing = "no controls beside: compare again where the networks can be loaded"
        return Finding(claim, paper, ours, Verdict.NOT_COMPARABLE, missing, share, networks)
    control = max(controls, key=lambda each: float(each["top1"]["k"] / each["top1"]["n"]))
    shares = [k / n for k, n in zip(classes[0]["top1"], classes[0]["n"], strict=True) if n]
    effect = effects.means(
        effects.Sample(np.array(shares), "classes"),
        effects.successes(control["top1"]["k"], control["top1"]["n"], "images of the control"),
        f"share beyond that of {control['source']}",
        f"{control['source']}: as often as images that nobody evolved",
        max(LEAST, document["chance"] / 2),
    )
    return Finding(
        claim,
        paper,
        f"{ours}, {control['source']} {control['top1']['k']} of {control['top1']['n']}",
        effect.verdict,
        why,
        share,
        networks,
        effect,
    )
