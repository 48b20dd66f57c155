"""Digit networks that are trained on the images that fooled the ones before: do they become immune?

Sections 3.6 and 3.7 and figure 11 of the paper: DNN_1 to DNN_15; the first retraining adds 6000 images of
300 runs to the class of fooling images, each later one 1000. The figure has 30 runs for each network; a run
gives 20 images, so that 1000 take 50.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from islands.experiments.findings.verdicts import Certainty, Figure, Finding, Tested, Verdict
from islands.experiments.parameters import RetrainMnistParameters
from islands.experiments.pipeline import Pipeline
from islands.texts import percent

if TYPE_CHECKING:
    from islands.experiments.findings.effects import Sample
    from islands.experiments.findings.evidence import Evidence

_MEDIANS = (
    "99.99, 97.42, 99.83, 72.52, 97.55, 99.68, 76.13, 99.96, 99.51, 99.48, 98.62, 99.97, 99.93, 99.15, 99.15"
)

LOWEST = 0.7252
"""The lowest of them."""


def networks(items: dict[str, dict[str, Any]]) -> tuple[Tested, ...]:
    """Return how good the networks of a retraining are, by the names of their items."""
    return tuple(
        Tested(name.replace("dnn-", "DNN_"), item["accuracy"], item["test_images"], item["tested_on"])
        for name, item in items.items()
    )


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with section 3.7 and figure 11."""
    import numpy as np

    from islands.experiments.findings import effects

    items = evidence.items("retrain")
    original = evidence.item("retrain", "dnn-01")
    tested = networks(items)
    medians = [item["median"] for item in items.values()]
    accuracies = [item["accuracy"] for item in items.values()]
    worst = min(accuracies[1:], default=accuracies[0])
    ours = (
        f"medians of DNN_1 to DNN_{len(medians)}: {', '.join(f'{100 * each:.2f}' for each in medians)} %, "
        f"the lowest after retraining {percent(min(medians[1:], default=medians[0]))}"
    )
    later = [name for name in items if name != "dnn-01"]
    smaller = "fewer runs, networks and training images" if len(medians) < 15 else "another training"
    weakest, worst_network = (
        min(later or items, key=lambda name: items[name][key]) for key in ("median", "accuracy")
    )
    immune = effects.median(
        effects.Sample(np.median(np.array(items[weakest]["confidence"]), 1), "runs"),
        f"median of the runs' medians against {weakest}, the one fooled least",
        "an immune network: runs stay below the paper's lowest median, as generation 0 does",
        LOWEST,
    )
    as_good = effects.means(
        _outcomes(items[worst_network]),
        _outcomes(original),
        f"accuracy of {worst_network} less that of DNN_1",
        "worse by a point or more",
        -0.01,
        beyond=-0.01,
    )
    return [
        Finding(
            "Retraining does not make a digit network immune: images of high confidence still evolve "
            "against every network.",
            Figure(f"medians of DNN_1 to DNN_15: {_MEDIANS} %", Certainty.RECALLED_MEDIUM),
            ours,
            immune.verdict if later else Verdict.NOT_COMPARABLE,
            smaller,
            min(medians),
            tested,
            immune,
        ),
        Finding(
            "Retrained networks are about as good on real digits as the first.",
            Figure("similar", Certainty.RECALLED_LOW),
            f"DNN_1 {percent(accuracies[0])}, the worst later one {percent(worst)}",
            as_good.verdict if later else Verdict.NOT_COMPARABLE,
            smaller,
            worst,
            tested,
            as_good,
        ),
    ]


def _outcomes(item: dict[str, Any]) -> Sample:
    from islands.experiments.findings import effects

    n = item["test_images"]
    return effects.successes(round(item["accuracy"] * n), n, "test images")


PIPELINE = Pipeline(
    name="retrain_mnist",
    summary="Digit networks trained on their own fooling images, again and again.",
    paper="sections 3.6 and 3.7, figure 11",
    settings={
        "runs": 50,
        "network": {"name": "lenet-mnist"},
        "encoding": {"name": "cppn"},
        "evolve": {"initial": 200, "children": 200, "generations": 200, "generations_per_epoch": 10},
    },
    stages=("retrain-mnist",),
    parameters=RetrainMnistParameters,
    small={
        "runs": 10,
        "evolve": {"initial": 100, "children": 100, "generations": 50, "generations_per_epoch": 10},
        "parameters": {
            "iterations": 4,
            "first_runs": 30,
            "first_images": 600,
            "images": 200,
            "training_images": 6000,
            "epochs": 5,
        },
    },
    laptop={},
    findings=findings,
)
