"""The attack by labels alone: its axis, and what it is worth to a network of which the answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import islands
from islands.cards.making import Evidence, make_card
from islands.cards.settling import Wish
from islands.classifiers.combinators import Stability
from islands.classifiers.registry import load_classifier
from islands.config import NetworkConfig
from islands.store.reader import StoreReader

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """The card of a linear network of the digits, one run, with the attack by labels."""
    folder = tmp_path_factory.mktemp("labels") / "card"
    found = make_card(Wish(NetworkConfig(name="linear-mnist"), folder, runs=1, images=2000, labels_only=True))
    assert found is not None
    return found


def test_it_counts_queries_and_not_images(linear: Evidence) -> None:
    found = linear.card.labels_only
    assert found is not None
    assert found.copies == Stability.COPIES == 20
    assert found.images == 2000
    for score in found.stable.values():
        assert score.budget == 40_000
        assert score.n50 is None or score.n50 % 20 == 0
    others = sum(2000 for _ in range(5)) + 2 * 1000
    assert linear.card.number_forward_passes == others + 40_000


def test_it_sees_no_confidence_and_is_judged_by_it(linear: Evidence) -> None:
    found = linear.card.labels_only
    assert found is not None
    reader = StoreReader(str(Path(str(linear.readers[0].path)).parent / found.name))
    assert found.digests == (reader.digest(0),)
    assert reader.config.network.name == "stability:linear-mnist"
    network = load_classifier("linear-mnist", device=torch.device("cpu"))
    run = islands.open(str(reader.path))
    images = torch.stack([torch.from_numpy(run.image(class_)).permute(2, 0, 1) for class_ in range(10)])
    seen = network.predict(images)
    assert found.named.mean == pytest.approx(
        (seen.logits.argmax(1) == torch.arange(10)).float().mean().item()
    )
    own = seen.probabilities.diagonal().numpy()
    for level in (0.5, 0.9, 0.99):
        assert found.sure[f"{level:g}"].mean == pytest.approx(np.mean(own >= np.float32(level)))
    # What the store calls confidence is the share of copies, in steps of one in twenty.
    shares = reader.confidence(0) * 20
    np.testing.assert_allclose(shares, np.round(shares), atol=1e-4)


def test_it_is_there_on_request_alone(made: Evidence, linear: Evidence) -> None:
    assert made.card.labels_only is None
    assert linear.card.made.command.endswith("--labels-only")
