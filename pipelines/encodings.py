"""Which encoding fools a network fastest? The same budget of images for each. Beyond the paper.

The two of the paper, patterns without the sine (which the authors' later Innovation Engines leave out, for
images that people recognise more often), the lowest frequencies of a cosine transform, and patterns whose
start gradients have tuned. A gradient counts as three images, so that generation 0 has fewer of those. They
need smooth coordinates (see `islands.evolution.seeding`), so patterns on such coordinates are compared, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islands.encodings.settings import CppnSettings
from islands.experiments.findings.verdicts import Certainty, Figure, Finding
from islands.experiments.pipeline import Pipeline

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence

TUNED = CppnSettings(name="cppn", coordinates="normalized", seed_steps=9)
SEED = TUNED.images_per_seed

ENCODINGS = {
    "direct": {"name": "direct"},
    "cppn": {"name": "cppn"},
    "cppn_no_sine": {"name": "cppn", "activations": ["sigmoid", "gaussian", "linear"]},
    "cppn_normalized": {"name": "cppn", "coordinates": "normalized"},
    "cppn_seeded": TUNED.model_dump(exclude_unset=True),
    "dct": {"name": "dct"},
}


def findings(evidence: Evidence) -> list[Finding]:
    """Compare every encoding with patterns."""
    from islands.experiments.findings.equal_budgets import compare

    found = {name: evidence.archives(name) for name in ENCODINGS}
    networks = evidence.tested(evidence.config.network.label)
    paper = Figure("88.11 % against 21.59 %, noise with twice the images", Certainty.QUOTED)
    return [
        compare(
            "Patterns reach higher confidence than noise from as many images.",
            *("cppn", "direct", found, networks),
            paper=paper,
        ),
        compare(
            "Patterns with the sine reach higher confidence than without.",
            *("cppn", "cppn_no_sine", found, networks),
        ),
        compare(
            "Patterns of pixel coordinates reach higher confidence than of coordinates from -1 to 1.",
            *("cppn", "cppn_normalized", found, networks),
        ),
        compare(
            "Patterns whose start gradients tuned reach higher confidence, from fewer of them.",
            *("cppn_seeded", "cppn_normalized", found, networks),
            # Generation 0 is what gradients tune.
            beyond_start=False,
        ),
        compare(
            "Patterns reach higher confidence than low frequencies: smoothness is not all.",
            *("cppn", "dct", found, networks),
        ),
        compare("Low frequencies reach higher confidence than noise.", *("dct", "direct", found, networks)),
    ]


PIPELINE = Pipeline(
    name="encodings",
    summary="Noise, patterns (no sine, tuned by gradients), low frequencies: equal numbers of images.",
    paper="beyond",
    settings={
        "runs": 5,
        "network": {"name": "efficientnet-lite0"},
        "encoding": {"name": "cppn", "size": 256},
        "evolve": {"initial": 100 * SEED, "children": 400, "generations": 5000, "generations_per_epoch": 10},
    },
    stages=("evolve", "test"),
    variants={name: {"encoding": encoding} for name, encoding in ENCODINGS.items()},
    small={
        "runs": 1,
        "network": {"precision": "bfloat16"},
        "encoding": {"size": 128},
        "evolve": {"initial": 20 * SEED, "children": 20, "generations": 100, "generations_per_epoch": 20},
        "workers": {"count": 1, "threads": 2},
    },
    laptop={
        "runs": 1,
        "network": {"precision": "bfloat16"},
        "encoding": {"size": 224},
        "evolve": {"generations": 200},
        "workers": {"count": 1, "threads": 2},
    },
    findings=findings,
)
