"""Does fooling two networks at once fool a third better? Beyond the paper.

The fitness is the probability that one LeNet gives, the mean over two (the paper's supplement B, there over
three networks), or the lesser of the two; all are shown to a LeNet of yet another seed.
"""

from islands.experiments.pipeline import Pipeline

_HELD_OUT = [{"name": "lenet:2"}]

PIPELINE = Pipeline(
    name="for_transfer",
    summary="Patterns for one LeNet, the mean of two and the weaker of two, shown to a third.",
    paper="beyond section 3.5",
    settings={
        "runs": 30,
        "network": {"name": "lenet-mnist"},
        "encoding": {"name": "cppn"},
        "evolve": {"initial": 100, "children": 100, "generations": 100, "generations_per_epoch": 10},
    },
    stages=("train", "evolve", "transfer", "test"),
    variants={
        "one": {"network": {"name": "lenet-mnist"}, "held_out": _HELD_OUT},
        "mean": {"network": {"name": "ensemble:lenet-mnist+lenet:1"}, "held_out": _HELD_OUT},
        "weakest": {"network": {"name": "weakest:lenet-mnist+lenet:1"}, "held_out": _HELD_OUT},
    },
)
