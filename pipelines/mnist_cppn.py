"""Regular patterns that a digit network is certain of.

Section 3.2 and figure 5 of the paper: 28 x 28 grey images of CPPNs, 200 generations. The children and the
random images of generation 0, 200 each, are those of the released code (`dl_map_elites_images_mnist.cpp`).
"""

from pipelines.base import Pipeline

PIPELINE = Pipeline(
    name="mnist_cppn",
    summary="Patterns that a digit network takes for each digit.",
    paper="section 3.2, figure 5",
    settings={
        "network": {"name": "lenet-mnist", "view": "whole"},
        "encoding": {"name": "cppn"},
        "evolve": {"initial": 200, "children": 200, "generations": 200, "generations_per_epoch": 10},
    },
)
