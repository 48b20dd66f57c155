"""Images of noise that a digit network is certain of.

Section 3.1 and figure 4 of the paper: 28 x 28 grey pixels, mutated one by one, 200 generations. The children
and the random images of generation 0, 200 each, are those of the released code
(`dl_map_elites_images_mnist_direct_encoding.cpp`), which leaves the number of generations open.
"""

from pipelines.base import Pipeline

PIPELINE = Pipeline(
    name="mnist_direct",
    summary="Noise that a digit network takes for each digit.",
    paper="section 3.1, figure 4",
    settings={
        "network": {"name": "lenet-mnist", "view": "whole"},
        "encoding": {"name": "direct"},
        "evolve": {"initial": 200, "children": 200, "generations": 200, "generations_per_epoch": 10},
    },
)
