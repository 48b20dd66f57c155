"""Two examples for the help of each command."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, str]] = {
    "launch": (
        "islands launch cluster/local.yaml",
        "islands launch cluster/local.yaml --set evolve.generations=400 --set store=runs/longer",
    ),
    "resume": (
        "islands resume runs/mnist-cppn",
        "islands resume runs/mnist-cppn --set evolve.generations=400 --detach",
    ),
    "logs": ("islands logs runs/mnist-cppn", "islands logs runs/mnist-cppn --follow"),
    "stop": ("islands stop runs/mnist-cppn", "islands stop s3://bucket/runs/mnist-cppn"),
    "compare": (
        "islands compare cluster/local.yaml --arms arms.yaml",
        "islands compare cluster/local.yaml --arms arms.yaml --seeds 10 --images 60000",
    ),
    "paper": ("islands paper", "islands paper --budget full --only mnist_cppn"),
    "status": ("islands status runs/mnist-cppn", "islands status runs/mnist-cppn --watch"),
    "query": (
        "islands query runs/mnist-cppn --open",
        'islands query runs/mnist-cppn "select name, confidence from elites where confidence > 0.99"',
    ),
    "show": (
        "islands show runs/mnist-cppn --class 3 --size 1024",
        "islands show runs/imagenet-cppn --sheet --top 48 --dark",
    ),
    "lineage": (
        "islands lineage runs/mnist-cppn --class 3",
        "islands lineage runs/mnist-cppn --class 3 --out three.gif",
    ),
    "figure": (
        "islands figure runs/mnist-cppn confidence",
        "islands figure runs/mnist-cppn tree --width double --out tree.svg",
    ),
    "report": ("islands report runs/mnist-cppn", "islands report runs/mnist-cppn --out digits.html"),
    "view": ("islands view runs/mnist-cppn", "islands view runs/mnist-cppn --port 0"),
    "score": (
        "islands score runs/mnist-cppn --network svm-mnist",
        "islands score pictures/ --network efficientnet-lite0 --out scores.csv",
    ),
    "transfer": (
        "islands transfer runs/lenet-pair/a runs/lenet-pair/b",
        "islands transfer runs/mnist-cppn --threshold 0.9 --figure matrix.pdf",
    ),
    "card": (
        "islands card lenet-mnist --minutes 1",
        "islands card efficientnet-lite0 --against mobilenet_v2 --pictures pictures/",
    ),
    "cards": ("islands cards cards/", "islands cards cards/ --out networks.html"),
    "verify": ("islands verify runs/mnist-cppn", "islands verify runs/mnist-cppn --all"),
    "findings": ("islands findings runs/mnist-cppn", "islands findings runs/mnist-cppn runs/mnist-direct"),
    "init": ("islands init experiments", "islands init experiments --full"),
    "doctor": (
        "islands doctor cluster/local.yaml",
        "islands doctor cluster/local.yaml --set network.name=my_network:build",
    ),
    "plan": ("islands plan cluster/gpu.yaml", "islands plan cluster/multi-node.yaml --nodes 4"),
    "bench": ("islands bench", "islands bench cluster/local-imagenet.yaml --seconds 2"),
    "cluster-file": (
        "islands cluster-file ray cluster/multi-node.yaml --nodes 4",
        "islands cluster-file slurm cluster/multi-node.yaml",
    ),
    "explain": ("islands explain", "islands explain swift"),
    "networks": ("islands networks", "islands networks --json"),
    "pipelines": ("islands pipelines", "islands pipelines --json"),
    **{
        name: (f"islands {name}", f"islands {name} --json")
        for name in (
            *("encodings", "measures", "emitters", "parents", "topologies"),
            *("selections", "replacements", "loggers", "stages"),
        )
    },
    "export": (
        "islands export runs/mnist-cppn images/",
        "islands export runs/mnist-cppn benchmark/ --layout openood",
    ),
    "tag": ("islands tag runs/mnist-cppn submitted", "islands tag runs/mnist-cppn halfway --at 10"),
    "prune": ("islands prune runs/mnist-cppn", "islands prune runs/mnist-cppn --keep 10"),
    "version": ("islands version", "islands --version"),
    "assets list": ("islands assets list", "islands assets list --json"),
    "assets pull": (
        "islands assets pull mobilenet_v2",
        "islands assets pull torchvision:alexnet@IMAGENET1K_V1 --from url",
    ),
    "config schema": ("islands config schema", "islands config schema --pipeline retrain_mnist"),
    "config explain": ("islands config explain islands.lag", "islands config explain evolve"),
    "config reference": ("islands config reference", "islands config reference > configuration.md"),
    "config show": (
        "islands config show cluster/local.yaml",
        "islands config show cluster/local.yaml --set seed=1",
    ),
}
"""By the command's words."""


def shown(command: str) -> str:
    """Return the examples of a command as its help ends with them."""
    return "\n\n".join(["Examples:", *(f"  {example}" for example in EXAMPLES[command])])
