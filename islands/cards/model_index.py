"""What Hugging Face shows of a card: the block `model-index` at the top of a model's README."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from islands.cards.card import AttackResult, Card
from islands.cards.making import NAME
from islands.files import write_whole

DATASET = "islands-card"
"""The type that results are of."""


def write_model_card(card: Card, folder: Path) -> Path:
    """Write `card.md`, to be laid into a model's README, and return its path."""
    file = folder / f"{NAME}.md"
    write_whole(file, model_card(card))
    return file


def model_card(card: Card) -> str:
    """Return the text of a model card: its YAML block, and what the numbers are."""
    block = {"pipeline_tag": "image-classification", "model-index": model_index(card)}
    return (
        f"---\n{yaml.safe_dump(block, sort_keys=False, allow_unicode=True, width=110)}---\n\n"
        f"# How {card.name} is fooled\n\n{card.summary()}.\n\n"
        "N50 is how many images an attacker had judged when half of the classes were at a confidence: the "
        f"median of {card.made.runs} runs. rho5 is the network's own level on real pictures. It is one "
        "attacker at one budget: an upper bound on robustness, and no guarantee. Made by\n\n"
        f"    {card.made.command}\n"
    )


def model_index(card: Card) -> list[dict[str, Any]]:
    """Return the results of a card as `model-index` has them: one for each attack.

    What was not reached within the budget has no number of images, and the share of the classes alone.
    """
    return [{"name": card.name, "results": [_result(card, attack) for attack in card.attacks]}]


def _result(card: Card, attack: AttackResult) -> dict[str, Any]:
    return {
        "task": {"type": "image-classification", "name": "Image classification"},
        "dataset": {
            "type": DATASET,
            "name": f"{card.protocol}, {attack.title}",
            "args": {
                "encoding": attack.encoding,
                "access": attack.access,
                "budget": card.made.images,
                "runs": card.made.runs,
                "seed": card.made.seed,
            },
        },
        "metrics": list(_metrics(attack)),
    }


def _metrics(attack: AttackResult) -> Iterator[dict[str, Any]]:
    for name, score in attack.scores.items():
        args = {"confidence": score.confidence}
        if score.n50 is not None:
            yield {
                "type": "images-to-fool",
                "name": f"N50 at {name}",
                "value": score.n50,
                "args": {**args, "low": score.low, "high": score.high},
            }
        yield {
            "type": "classes-fooled",
            "name": f"share of classes at {name}",
            "value": score.reached,
            "args": args,
        }
