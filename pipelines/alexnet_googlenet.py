"""The paper's own pair: images evolved against AlexNet, shown to GoogLeNet, and the other way round.

Section 3.5 of the paper: 20.7 % of GoogLeNet's images keep their label on AlexNet, and 17.3 % the other way
(recalled, not checked). The weights are torchvision's, which downloads them; then
`islands launch cluster/gpu.yaml --set pipeline=alexnet_googlenet --set store=runs/alexnet-googlenet`.
"""

from pipelines.base import Pipeline, crossed

PIPELINE = Pipeline(
    name="alexnet_googlenet",
    summary="Patterns for AlexNet and GoogLeNet, each shown to the other.",
    paper="section 3.5",
    settings={
        "network": {"name": "torchvision:alexnet@IMAGENET1K_V1", "view": "ten-crop"},
        "encoding": {"name": "cppn", "size": 256},
        "evolve": {"initial": 400, "children": 400, "generations": 5000, "generations_per_epoch": 10},
    },
    stages=("evolve", "score", "transfer", "test"),
    variants=crossed(
        {
            "alexnet": {"name": "torchvision:alexnet@IMAGENET1K_V1", "view": "ten-crop"},
            "googlenet": {"name": "torchvision:googlenet@IMAGENET1K_V1", "view": "ten-crop"},
        }
    ),
)
