"""Images of noise for the 1000 classes of ImageNet: most of them do not fool the network.

Section 3.3 and figure 6 of the paper: 256 x 256 pixels of three numbers, 20,000 generations, 5 runs, scores
averaged over ten crops (section 2.1); median confidence 21.59 %. The children and the random images of
generation 0, 200 each, are those of the released code (`dl_map_elites_images_imagenet_direct_encoding.cpp`).
The paper's network is AlexNet; the one here installs as a package.
"""

from pipelines.base import Pipeline

PIPELINE = Pipeline(
    name="imagenet_direct",
    summary="Noise for each of the 1000 classes of ImageNet.",
    paper="section 3.3, figure 6",
    settings={
        "runs": 5,
        "network": {"name": "efficientnet-lite0", "view": "ten-crop"},
        "encoding": {"name": "direct", "size": 256},
        "evolve": {"initial": 200, "children": 200, "generations": 20_000, "generations_per_epoch": 20},
    },
)
