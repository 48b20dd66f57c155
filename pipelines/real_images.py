"""How sure networks are of real images, right and wrong: the yardstick for images that fool them.

Supplement F of the paper, there on the 50,000 validation images of ImageNet; here on the test digits of MNIST
and on the photographs that packages carry. Nothing evolves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.report.findings import Finding
from pipelines.base import Pipeline

if TYPE_CHECKING:
    from islands.report.evidence import Evidence


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with supplement F, and with what was evolved."""
    from islands.report.yardstick import above_real_images, surer_where_right

    tested = evidence.results("test")
    measured = [surer_where_right(item, evidence.tested(name)) for name, item in tested.items()]
    compared = [
        above_real_images(evidence.others[name], tested)
        for name in ("mnist_direct", "mnist_cppn", "imagenet_direct", "imagenet_cppn")
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
    findings=findings,
)
