"""Images that climb the gradient of a class's probability: no evolution, but the network is open.

Section 3.9 and figures 13 and S3 to S7 of the paper; 20 classes x 5 starts, in the four final settings of the
released code (`ascent/find_fooling_image.py` and `hyperparam_search.py`; the settings are decoded from the
seeds of its search). The paper's network is a CaffeNet; the one here installs as a package. On CaffeNet, set
`parameters.mean` to its mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import Certainty, Figure, Finding
from islands.experiments.parameters import AscentParameters
from islands.experiments.pipeline import Pipeline
from islands.texts import percent

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence

CLAIMS = {
    "Gradient ascent makes images of 99.99 % confidence.": False,
    "It does so under regularisers as well.": True,
}
"""Whether each claim is about images that are regularised."""


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with section 3.9: a finding for each network, without and with regularisers."""
    from statistics import median

    import numpy as np

    from islands.experiments.findings import effects

    items = evidence.items("ascend").values()
    found = []
    for network in dict.fromkeys(item["network"] for item in items):
        ways: dict[str, dict[int, list[float]]] = {}
        for item in items:
            if item["network"] == network:
                of_class = ways.setdefault(item["way"], {}).setdefault(item["class"], [])
                of_class.append(item["confidence"]["best"])
        # The starts of a class come to much the same: the classes are the sample.
        best = {way: [median(each) for each in classes.values()] for way, classes in ways.items()}
        medians = {way: median(each) for way, each in best.items()}
        for claim, regularised in CLAIMS.items():
            chosen = [way for way in medians if evidence.parameters.settings[way].regularised == regularised]
            if not chosen:
                continue
            weakest = min(chosen, key=lambda way: medians[way])
            effect = effects.median(
                effects.Sample(np.array(best[weakest]), "classes"),
                f"median over classes of the best image, {weakest}",
                "less than 99.99 %, as where it starts",
                0.9999,
            )
            found.append(
                Finding(
                    claim,
                    Figure("99.99 %", Certainty.RECALLED_HIGH),
                    f"{network}, 8-bit images, median of the best: "
                    + ", ".join(
                        f"{way} {percent(medians[way])} ({len(best[way])} classes)" for way in chosen
                    ),
                    effect.verdict,
                    "another network; probabilities of the 8-bit image, which rounding may lower",
                    medians[weakest],
                    evidence.tested(network),
                    effect,
                )
            )
    return found


PIPELINE = Pipeline(
    name="gradient_ascent",
    summary="Images that climb the gradient of a class, in the paper's four settings.",
    paper="section 3.9, figures 13 and S3 to S7",
    settings={
        "network": {"name": "efficientnet-lite0"},
        "held_out": [{"name": "lenet-mnist"}],
        "encoding": {"name": "direct"},
    },
    stages=("train", "test", "ascend"),
    parameters=AscentParameters,
    small={
        "parameters": {"imagenet_classes": 2, "starts": 1},
        "workers": {"count": 1, "threads": 2},
    },
    laptop={
        "parameters": {"imagenet_classes": 5, "starts": 3},
        "workers": {"count": 1, "threads": 2},
    },
    findings=findings,
)
