"""How sure networks are of real images, right and wrong: the yardstick for images that fool them.

Supplement F of the paper, there on the 50,000 validation images of ImageNet; here on the test digits of MNIST
and on the photographs that packages carry. Nothing evolves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import Finding
from islands.experiments.pipeline import Pipeline
from islands.pipelines import imagenet_cppn, imagenet_direct

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence

EVALUATIONS = {
    "mnist_direct": 200 + 200 * 200,
    "mnist_cppn": 200 + 200 * 200,
    "imagenet_direct": imagenet_direct.EVALUATIONS,
    "imagenet_cppn": imagenet_cppn.EVALUATIONS,
}
"""Images that a run of the paper scored."""


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with supplement F, and with what was evolved."""
    from islands.experiments.findings.yardstick import above_real_images, surer_where_right

    measured = [surer_where_right(evidence, name) for name in evidence.items("test")]
    compared = [
        above_real_images(evidence.others[name], evidence, evaluations)
        for name, evaluations in EVALUATIONS.items()
        if name in evidence.others
    ]
    return measured + compared


PIPELINE = Pipeline(
    name="real_images",
    summary="Confidence of the networks on real test images, right and wrong.",
    paper="supplement F",
    settings={
        "network": {"name": "lenet-mnist"},
        "encoding": {"name": "cppn"},
        "held_out": [
            {"name": "linear-mnist"},
            {"name": "efficientnet-lite0"},
            {"name": "efficientnet-lite1"},
            {"name": "efficientnet-lite2"},
            {"name": "torchvision:mobilenet_v2@IMAGENET1K_V1"},
        ],
    },
    stages=("fetch", "test"),
    small={},
    laptop={},
    findings=findings,
)
