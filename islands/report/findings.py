"""Findings: a claim of the paper, its figure and how certain that is, our figure, and whether they agree.

Imports nothing heavy: the modules of `pipelines`, which are read before torch is, make findings.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Certainty(StrEnum):
    """How well a figure of the paper is known: its text was not at hand when this was written."""

    VERIFIED = "verified"
    """Read in the released code or on the paper's first page, or measured with the released weights."""
    QUOTED = "quoted"
    """As others quote it, in notes or headlines; not checked against the paper."""
    RECALLED_HIGH = "recalled, high certainty"
    RECALLED_MEDIUM = "recalled, medium certainty"
    RECALLED_LOW = "recalled, low certainty"
    """From memory, not checked against the paper."""


class Verdict(StrEnum):
    """Whether our figure supports the claim."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    NOT_COMPARABLE = "not comparable"

    @classmethod
    def of(cls, agrees: bool) -> Verdict:
        """Return `AGREES` or `DISAGREES`."""
        return cls.AGREES if agrees else cls.DISAGREES


@dataclass(frozen=True)
class Figure:
    """A number of the paper as it would print it, with its certainty: none is shown without."""

    text: str
    certainty: Certainty

    def __str__(self) -> str:
        return f"{self.text} [{self.certainty}]"


@dataclass(frozen=True)
class Tested:
    """How good a network is at its own trade.

    Attributes:
        network: its name.
        accuracy: share of held-back real images that it classifies right, 0..1.
        n: how many those were.
        data: what they were.
    """

    network: str
    accuracy: float
    n: int
    data: str

    def __str__(self) -> str:
        return f"{self.network}: right on {self.accuracy:.2%} of {self.n:,} {self.data}"


@dataclass(frozen=True)
class Finding:
    """One row of an experiment's closing table.

    Attributes:
        claim: in words, as the paper makes it, or as the question that it left open.
        paper: its figure; None where it has none.
        ours: our figure in words, with the number of runs or images behind it.
        value: our figure as a number; None where it is not one.
        verdict: whether ours supports the claim.
        why: why it may differ, or why it cannot be compared.
        networks: those that were fooled, and how good they are on real images.
    """

    claim: str
    paper: Figure | None
    ours: str
    verdict: Verdict
    why: str = ""
    value: float | None = None
    networks: tuple[Tested, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return a mapping that JSON can hold; `paper` has `text` and `certainty`, or is null."""
        return asdict(self)


def as_text(findings: Sequence[Finding]) -> str:
    """Return the table for a terminal: a block for each finding, and the networks' accuracies below."""
    blocks = [_block(finding) for finding in findings]
    tested = dict.fromkeys(str(each) for finding in findings for each in finding.networks)
    if tested:
        blocks.append("\n".join(["Networks on held-back real images", *(f"  {line}" for line in tested)]))
    return "\n\n".join(blocks)


def _block(finding: Finding) -> str:
    rows = {
        "paper": str(finding.paper) if finding.paper else "no figure",
        "ours": finding.ours,
        finding.verdict.value: finding.why,
    }
    lines = textwrap.wrap(finding.claim, 100)
    for name, text in rows.items():
        lines += textwrap.wrap(text, 100, initial_indent=f"  {name:<16}", subsequent_indent=" " * 18) or [
            f"  {name}"
        ]
    return "\n".join(lines)
