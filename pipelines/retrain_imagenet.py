"""A network of pictures that is trained on its own fooling images: there, it helped.

Section 3.8 of the paper: AlexNet on ImageNet, the class of fooling images over-represented (9000 images, 7 x
as many as in another class). `parameters.data` names the folder of the pictures; ImageNet is in no package,
so by default Fashion-MNIST is written into folders as RGB pictures, 1300 for each of its ten classes, as of
ImageNet. A run gives an image of its start and one of its end for each class: with the 1000 classes of
ImageNet, 5 runs give the 9100 images that are wanted; with ten classes, 455 do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import Certainty, Figure, Finding
from islands.experiments.parameters import RetrainImagesParameters
from islands.experiments.pipeline import Pipeline
from islands.pipelines.retrain_mnist import networks
from islands.texts import percent

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with section 3.8."""
    import numpy as np

    from islands.experiments.findings import effects

    items = evidence.items("retrain")
    if evidence.parameters.iterations == 1:
        return []
    first, second = (
        np.array(evidence.item("retrain", name)["confidence"], np.float32) for name in ("dnn-01", "dnn-02")
    )
    before, after = float(np.median(first)), float(np.median(second))
    # Runs are paired by their number.
    difference = effects.sample(effects.log_odds(first) - effects.log_odds(second))
    effect = effects.paired(
        difference,
        "log-odds lost",
        "no difference: either network may be the lower",
        effects.LEAST_ODDS,
    )
    return [
        Finding(
            "On pictures, retraining with an over-represented class of fooling images lowers the confidences "
            "that evolve.",
            Figure("median 88.1 % before, 11.7 % after, p < 0.0001", Certainty.RECALLED_HIGH),
            f"median {percent(before)} before, {percent(after)} after, "
            f"of {first.size} and {second.size} images",
            effect.verdict,
            f"{evidence.parameters.architecture} on {evidence.parameters.data}, not AlexNet on ImageNet",
            after,
            networks(items),
            effect,
        )
    ]


PIPELINE = Pipeline(
    name="retrain_imagenet",
    summary="A network of pictures trained on its own fooling images.",
    paper="section 3.8",
    settings={
        "runs": 455,
        "network": {"name": "efficientnet-lite0"},
        "encoding": {"name": "cppn"},
        "evolve": {"initial": 400, "children": 400, "generations": 5000, "generations_per_epoch": 10},
        "parameters": {"training_images": 13_000},
    },
    stages=("retrain-images",),
    parameters=RetrainImagesParameters,
    small={
        "runs": 35,
        "evolve": {"initial": 50, "children": 25, "generations": 20, "generations_per_epoch": 10},
        "parameters": {
            "architecture": "torchvision:mobilenet_v2",
            "start": "IMAGENET1K_V1",
            "size": 48,
            "training_images": 1000,
            "test_images": 1000,
            "epochs": 4,
            "batch": 50,
            "learning_rate": 0.02,
        },
    },
    laptop={
        "runs": 175,
        "evolve": {"initial": 100, "children": 50, "generations": 20},
        "parameters": {
            "architecture": "torchvision:mobilenet_v2",
            "start": "IMAGENET1K_V1",
            "size": 64,
            "training_images": 5000,
            "test_images": 2000,
            "epochs": 4,
            "batch": 50,
            "learning_rate": 0.02,
        },
    },
    findings=findings,
)
