"""One class at a time against all at once, with as many images: do other classes serve as stepping stones?

The comparison of the authors' Innovation Engines (GECCO 2015), on digits here: an archive of all classes, in
which a child may take any cell, against ten searches that each see one class alone. An island that owns one
class, sends no claims and takes no migrants is such a search. Ten of them share the images of one archive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.experiments.findings.verdicts import Certainty, Figure, Finding
from islands.experiments.pipeline import Pipeline

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence

CLASSES = 10


def findings(evidence: Evidence) -> list[Finding]:
    """Compare with Innovation Engines."""
    from islands.experiments.findings.equal_budgets import compare
    from islands.experiments.findings.imagenet_claims import switched_goals

    found = {name: evidence.archives(name) for name in PIPELINE.variants}
    networks = evidence.tested(evidence.config.network.label)
    return [
        compare(
            "All classes at once reach higher confidence than one at a time, from as many images.",
            *("all_at_once", "one_at_a_time", found, networks),
            paper=Figure("median 90.3 % against 68.3 %, in Innovation Engines", Certainty.RECALLED_LOW),
            why="ten digits, where the paper has the 1000 classes of ImageNet",
        ),
        switched_goals(found["all_at_once"], networks),
    ]


PIPELINE = Pipeline(
    name="single_target",
    summary="One digit at a time against all at once: equal numbers of images.",
    paper="Innovation Engines, GECCO 2015",
    settings={
        "runs": 30,
        "network": {"name": "lenet-mnist"},
        "encoding": {"name": "cppn"},
        "evolve": {"initial": 200, "children": 200, "generations": 200, "generations_per_epoch": 10},
    },
    stages=("train", "evolve", "test"),
    variants={
        "all_at_once": {"islands": {"count": 1}},
        "one_at_a_time": {
            "islands": {
                "count": CLASSES,
                "claims": False,
                "topology": "unconnected",
                "migration": {"size": 0},
            },
        },
    },
    small={"runs": 10, "evolve": {"generations": 50}},
    laptop={},
    findings=findings,
)
