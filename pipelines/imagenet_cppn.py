"""Regular patterns for the 1000 classes of ImageNet: the images that made the paper known.

Section 3.4 and figures 7, 8 and 12 of the paper: 256 x 256 colour images of CPPNs, 5000 generations, 5 runs,
scores averaged over ten crops (section 2.1); median confidence 88.11 %. The children and the random images of
generation 0, 400 each, are those of the released code (`dl_map_elites_images.cpp`). The paper's network is
AlexNet; the one here installs as a package.
"""

from pipelines.base import Pipeline

PIPELINE = Pipeline(
    name="imagenet_cppn",
    summary="Patterns for each of the 1000 classes of ImageNet.",
    paper="section 3.4, figures 7, 8 and 12",
    settings={
        "runs": 5,
        "network": {"name": "efficientnet-lite0", "view": "ten-crop"},
        "encoding": {"name": "cppn", "size": 256},
        "evolve": {"initial": 400, "children": 400, "generations": 5000, "generations_per_epoch": 10},
    },
)
