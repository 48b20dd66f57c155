"""The report of `islands paper`: every claim, the paper's figure, ours, and whether they agree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import FEWEST, SIGNIFICANCE, Finding, Verdict

if TYPE_CHECKING:
    from islands.experiments.paper import Chapter

NAME = "report"

CERTAINTIES = (
    "Figures of the paper carry how well they are known: *verified* ones were read in the released code or "
    "on the first page, or measured with the released weights; *quoted* ones are as others quote them; "
    "*recalled* ones are from memory. Only verified ones were checked."
)

VERDICTS = (
    f"A claim *agrees* where the effect is as large as it needs to be, the test gives up the null (p < "
    f"{SIGNIFICANCE}) and there are {FEWEST} independent samples or more: classes where there are "
    "many, else runs, images or attempts. It *disagrees* where the whole 95 % interval of the effect, in "
    "brackets, lies outside what the claim needs. Else there are *too few* samples to tell. *Not comparable* "
    "are claims about a budget that was not spent, or about what the folder does not hold."
)


def write(chapters: Sequence[Chapter], budget: str, out: Path) -> None:
    """Write `report.md` and `report.json`."""
    document = {"budget": budget, "experiments": [asdict(chapter) for chapter in chapters]}
    (out / f"{NAME}.md").write_text(as_markdown(chapters, budget), encoding="utf-8")
    (out / f"{NAME}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def as_markdown(chapters: Sequence[Chapter], budget: str) -> str:
    """Return the report: a summary, and a table for each experiment."""
    lines = [
        "# The paper's claims, and what came out here",
        "",
        summary(chapters, budget),
        "",
        VERDICTS,
        "",
        CERTAINTIES,
    ]
    for chapter in chapters:
        lines += ["", f"## {chapter.pipeline} ({chapter.paper})", "", chapter.summary, ""]
        if chapter.failure is not None:
            lines.append(f"Not run: {chapter.failure}")
            continue
        lines += [
            "| claim | paper | ours | | effect, test and null | why it may differ | network on real images |",
            "|---|---|---|---|---|---|---|",
            *(_row(finding) for finding in chapter.findings),
        ]
    return "\n".join([*lines, ""])


def summary(chapters: Sequence[Chapter], budget: str) -> str:
    """Return a sentence that counts."""
    verdicts = Counter(finding.verdict for chapter in chapters for finding in chapter.findings)
    words = {Verdict.AGREES: "agree", Verdict.DISAGREES: "disagree"}
    counted = ", ".join(f"{verdicts[verdict]} {words.get(verdict, verdict)}" for verdict in Verdict)
    failed = [chapter.pipeline for chapter in chapters if chapter.failure is not None]
    rest = f" Not run: {', '.join(failed)}." if failed else ""
    total = f"{sum(verdicts.values())} claims in {len(chapters)} experiments"
    return f"{total} with the {budget} budget: {counted}.{rest}"


def _row(finding: Finding) -> str:
    tested = "; ".join(str(each) for each in finding.networks)
    cells = (
        finding.claim,
        str(finding.paper) if finding.paper else "no figure",
        finding.ours,
        f"**{finding.verdict}**",
        str(finding.effect) if finding.effect else "",
        finding.why,
        tested,
    )
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
