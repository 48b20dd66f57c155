"""The same architecture with another training: images evolved against one LeNet, shown to another.

Section 3.5 of the paper, first case: two networks of equal architecture that differ in their random start. It
has 300 images a network, 30 runs of 10 digits, as here; generations are fewer than the paper's 200.
"""

from pipelines.base import Pipeline, crossed

PIPELINE = Pipeline(
    name="lenet_pair",
    summary="Patterns for two LeNets of different seeds, each shown to the other.",
    paper="section 3.5",
    settings={
        "runs": 30,
        "network": {"name": "lenet-mnist"},
        "encoding": {"name": "cppn"},
        "evolve": {"initial": 100, "children": 100, "generations": 100, "generations_per_epoch": 10},
    },
    stages=("train", "evolve", "score", "transfer", "test"),
    variants=crossed({"a": {"name": "lenet-mnist"}, "b": {"name": "lenet:1"}}),
)
