"""What each copy of a repeated element adds to the confidence of a network.

Section 3.4 and figure 10 of the paper, where copies were removed by hand from some images. Here the surest
elites are segmented by colour, copies are painted over one by one, and so are as many places elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import Certainty, Figure, Finding, Verdict
from islands.experiments.parameters import RepetitionParameters
from islands.experiments.pipeline import Pipeline
from islands.texts import level

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence


LEAST_LOSS = 0.01
SLIGHT_LOSS = 0.25
"""Loss of confidence that is read as slight."""


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with figure 10."""
    from statistics import median

    import numpy as np

    from islands.experiments.findings import effects

    items = list(evidence.items("repetition").values())
    repeated = [item for item in items if item["copies"]]
    claim = "Removing the extra copies of a repeated element lowers the confidence, usually slightly."
    paper = Figure("lower, usually slightly", Certainty.RECALLED_MEDIUM)
    if not repeated:
        ours = f"no element is repeated in {len(items)} images"
        return [Finding(claim, paper, ours, Verdict.NOT_COMPARABLE, "a smaller budget")]
    losses, controls = (
        [item[kind][0] - item[kind][-1] for item in repeated] for kind in ("confidence", "control")
    )
    loss, control = median(losses), median(controls)
    # An image may hold the cells of several classes; older results do not say which do.
    excess: dict[object, list[float]] = {}
    for item, lost, elsewhere in zip(repeated, losses, controls, strict=True):
        excess.setdefault((item["run"], item.get("genome", item["item"])), []).append(lost - elsewhere)
    effect = effects.paired(
        effects.Sample(np.array([median(each) for each in excess.values()]), "images"),
        "confidence lost beyond that of the control",
        "the control: as much painted over elsewhere loses as much",
        LEAST_LOSS,
        most=SLIGHT_LOSS,
    )
    each = median(
        (item["confidence"][0] - item["confidence"][-1]) / (item["copies"] - 1) for item in repeated
    )
    lower = sum(item["confidence"][-1] < item["confidence"][0] for item in repeated)
    return [
        Finding(
            claim,
            paper,
            f"{lower} of {len(repeated)} images with repetition lose (of {len(items)} looked at); median "
            f"loss {loss:.4f} in all and {each:.4f} for each copy, {control:.4f} for as much painted over "
            "elsewhere",
            effect.verdict,
            f"copies are found by colour and size, not by eye, and all but one are removed; slightly is read "
            f"as {level(LEAST_LOSS)} to {level(SLIGHT_LOSS)} beyond the control",
            loss,
            evidence.tested(),
            effect,
        )
    ]


PIPELINE = Pipeline(
    name="repetition",
    summary="Patterns of ImageNet, their repeated elements removed one by one.",
    paper="section 3.4, figure 10",
    settings={
        "runs": 5,
        "network": {"name": "efficientnet-lite0", "view": "ten-crop"},
        "encoding": {"name": "cppn", "size": 256},
        "evolve": {"initial": 400, "children": 400, "generations": 5000, "generations_per_epoch": 10},
    },
    stages=("train", "evolve", "test", "repetition"),
    variants={"evolved": {}},
    parameters=RepetitionParameters,
    small={
        "runs": 1,
        "network": {"name": "efficientnet-lite0", "view": "whole"},
        "encoding": {"name": "cppn", "size": 224},
        "evolve": {"initial": 200, "children": 20, "generations": 100, "generations_per_epoch": 25},
        "parameters": {"images": 20, "threshold": 0.2},
    },
    laptop={
        "runs": 1,
        "network": {"view": "whole"},
        "encoding": {"size": 224},
        "evolve": {"generations": 250},
        "workers": {"count": 1, "threads": 2},
    },
    findings=findings,
)
