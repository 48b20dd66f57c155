"""Findings: a claim of the paper, its figure and how certain that is, our figure, and whether they agree.

Imports nothing heavy: the modules of `pipelines`, which are read before torch is, make findings.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from islands.texts import percent


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
    TOO_FEW = "too few"
    """Too few samples to tell."""
    NOT_COMPARABLE = "not comparable"


SIGNIFICANCE = 0.01
"""Below this p-value the null is given up."""

FEWEST = 7
"""Independent samples that agreement needs: with fewer, no outcome of a sign test has such a p-value."""


@dataclass(frozen=True)
class Effect:
    """What a verdict rests on: how large an effect is, and the test that it is there at all.

    Attributes:
        measure: what `size` is, in words.
        size: None where there is no sample.
        low: end of the 95 % interval of `size`; None where the sample is too small for one.
        high: the other end.
        least: the size from which on the claim holds.
        most: the size up to which it holds; None: any.
        test: its name and its sample.
        null: what the claim denies, and the test supposes.
        p: of such a size under the null; None where there is no sample.
        n: independent samples; of two groups, those of the smaller.
    """

    measure: str
    size: float | None
    low: float | None
    high: float | None
    least: float
    test: str
    null: str
    p: float | None
    n: int
    most: float | None = None

    @classmethod
    def none(cls, measure: str, test: str, null: str, least: float, most: float | None = None) -> Effect:
        """Return what there is to say without a sample."""
        return cls(measure, None, None, None, least, test, null, None, 0, most)

    @property
    def verdict(self) -> Verdict:
        """Whether the claim holds.

        It agrees where the size is one that the claim needs, the null is given up, and the samples are
        `FEWEST` or more; it disagrees where the whole interval lies outside what the claim needs. All else
        is too few samples to tell.
        """
        if self.size is None or self.p is None:
            return Verdict.TOO_FEW
        below = self.high is not None and self.high < self.least
        above = self.most is not None and self.low is not None and self.low > self.most
        if below or above:
            return Verdict.DISAGREES
        holds = self.size >= self.least and (self.most is None or self.size <= self.most)
        found = holds and self.p < SIGNIFICANCE and self.n >= FEWEST
        return Verdict.AGREES if found else Verdict.TOO_FEW

    def __str__(self) -> str:
        if self.size is None or self.p is None:
            return f"{self.measure}: no sample; null: {self.null}"
        ends = ["?" if end is None else f"{end:.4g}" for end in (self.low, self.high)]
        needed = f"{self.least:.4g} or more" if self.most is None else f"{self.least:.4g} to {self.most:.4g}"
        return (
            f"{self.measure}: {self.size:.4g} [{ends[0]}, {ends[1]}], needed {needed}; "
            f"{self.test}, {p_value_text(self.p)}; null: {self.null}"
        )


def p_value_text(p: float) -> str:
    """Return a p-value in words; the smallest are below what a float holds."""
    return f"p = {p:.2g}" if p >= 1e-300 else "p < 1e-300"


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
        return f"{self.network}: right on {percent(self.accuracy)} of {self.n:,} {self.data}"


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
        effect: what the verdict rests on; None where nothing could be compared.
    """

    claim: str
    paper: Figure | None
    ours: str
    verdict: Verdict
    why: str = ""
    value: float | None = None
    networks: tuple[Tested, ...] = ()
    effect: Effect | None = None

    def as_json(self) -> dict[str, Any]:
        """Return a mapping that JSON can hold; `paper` and `effect` are mappings, or null."""
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
        **({"effect": str(finding.effect)} if finding.effect else {}),
    }
    lines = textwrap.wrap(finding.claim, 100)
    for name, text in rows.items():
        lines += textwrap.wrap(text, 100, initial_indent=f"  {name:<16}", subsequent_indent=" " * 18) or [
            f"  {name}"
        ]
    return "\n".join(lines)
