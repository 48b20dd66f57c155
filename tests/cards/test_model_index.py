"""The block `model-index`, read by Hugging Face's own parser."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from islands.cards.making import Evidence
from islands.cards.model_index import write_model_card

pytestmark = pytest.mark.slow


def test_hugging_face_reads_it(made: Evidence, tmp_path: Path) -> None:
    card = made.card
    text = ModelCard.load(write_model_card(card, tmp_path))
    assert text.data.model_name == "lenet-mnist"
    results = text.data.eval_results
    assert results is not None
    assert {each.dataset_type for each in results} == {"islands-card"}
    assert {each.task_type for each in results} == {"image-classification"}
    for attack in card.attacks:
        own = [each for each in results if each.dataset_name == f"islands-card/1, {attack.title}"]
        assert len(own) == len(attack.scores) + sum(each.n50 is not None for each in attack.scores.values())
        for name, score in attack.scores.items():
            (share,) = [each for each in own if each.metric_name == f"share of classes at {name}"]
            assert share.metric_value == score.reached
            assert share.dataset_args == {
                "encoding": attack.encoding,
                "access": attack.access,
                "budget": 2000,
                "runs": 2,
                "seed": 0,
            }
            images = [each for each in own if each.metric_name == f"N50 at {name}"]
            assert [each.metric_value for each in images] == ([] if score.n50 is None else [score.n50])
    assert text.data.to_dict()["model-index"]  # it can be written again
    assert card.made.command in text.text


def test_it_lies_beside_the_card(folder: Path) -> None:
    assert (folder / "card.md").read_text().startswith("---\n")
