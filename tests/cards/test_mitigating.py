"""Mitigations: on answers that are known, on a card, and where there are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from islands.cards.card import Card
from islands.cards.card_page import render
from islands.cards.detectors import Seen
from islands.cards.last_features import watched
from islands.cards.making import Evidence, make_card
from islands.cards.mitigating import Kind, Tempered, WithGarbage, garbage_row
from islands.classifiers.registry import load_classifier
from islands.cli.main import execute
from islands.store.reader import StoreReader
from tests.cards.conftest import small_wish

pytestmark = pytest.mark.slow

Capture = pytest.CaptureFixture[str]


def with_mitigation(folder: Path, out: Path, kind: Kind) -> Evidence:
    """The card of LeNet once more, from its own stores."""
    shutil.copytree(folder, out)
    found = make_card(small_wish(out, kind))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def garbage(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """The card with a garbage class."""
    return with_mitigation(folder, tmp_path_factory.mktemp("garbage") / "card", "none-of-the-above")


def test_a_garbage_class_knows_old_images_and_keeps_the_digits(garbage: Evidence) -> None:
    found = garbage.card.mitigation
    assert found is not None
    assert found.recognised is not None
    assert found.recognised > 0.5
    assert found.real_before is not None
    assert found.real_after is not None
    assert found.real_before.n == found.real_after.n == 2000
    assert found.real_after.accuracy > found.real_before.accuracy - 0.02
    assert [each.attack for each in found.attacks] == ["patterns", "pixels"]
    for each in found.attacks:
        assert each.after["0.9"].reached <= each.before["0.9"].reached


def test_its_numbers_are_those_of_its_stores(made: Evidence, garbage: Evidence) -> None:
    found = garbage.card.mitigation
    assert found is not None
    folder = Path(str(garbage.readers[0].path)).parent
    for each, attack in zip(found.attacks, made.card.attacks, strict=False):
        assert each.before == attack.scores
        reader = StoreReader(str(folder / each.name))
        assert reader.classes[-1] == "none of the above"
        assert each.digests == (reader.digest(0), reader.digest(1))
        assert each.after["0.9"].reached == np.mean(
            [(reader.confidence(run)[:10] >= 0.9).mean() for run in range(2)]
        )
        other = StoreReader(str(folder / f"{attack.name}-other-seeds"))
        assert other.config.seed != reader.config.seed
    assert garbage.card.attacks == made.card.attacks
    assert garbage.card.made.command.endswith("--mitigate none-of-the-above")


def test_the_page_has_before_and_after(made: Evidence, garbage: Evidence) -> None:
    assert "What helps" in render(garbage)
    assert "What helps" not in render(made)
    assert Card.model_validate_json(garbage.card.as_text()).mitigation == garbage.card.mitigation


@pytest.mark.parametrize("kind", ["temperature", "ensemble"])
def test_the_others_are_tried_likewise(folder: Path, tmp_path: Path, kind: Kind) -> None:
    found = with_mitigation(folder, tmp_path / "card", kind).card.mitigation
    assert found is not None
    assert found.recognised is None
    assert all(set(each.after) == {"0.5", "0.9", "0.99", "rho5"} for each in found.attacks)
    if kind == "temperature":  # labels stay, but for ties
        assert found.real_after is not None
        assert found.real_before is not None
        assert found.real_after.accuracy == found.real_before.accuracy
        assert found.real_after.calibration_error <= found.real_before.calibration_error + 0.002


def test_the_row_is_that_of_a_regression() -> None:
    """Of a network whose other logits are all 0, so that their sum is the same for every image."""
    chance = np.random.default_rng(0)
    real, other = chance.normal(size=(300, 4)), chance.normal((2, 0, -1, 0), size=(150, 4))
    row = garbage_row(Seen(np.zeros((300, 1)), real), Seen(np.zeros((150, 1)), other))
    both, spread = np.concatenate([real, other]), np.concatenate([real, other]).std(0)
    weights = np.repeat([1 / 300, 1 / 150], [300, 150])
    # scikit-learn halves the decay and weighs the loss by C.
    expected = LogisticRegression(C=1 / (2 * 1e-3), tol=1e-10, max_iter=5000).fit(
        (both - both.mean(0)) / spread, np.repeat([0, 1], [300, 150]), weights
    )
    np.testing.assert_allclose(row.weights * spread, expected.coef_[0], rtol=1e-2, atol=1e-3)


def test_scores_are_those_of_the_network_and_one_more() -> None:
    classifier = load_classifier("lenet-mnist", device=torch.device("cpu"))
    images = torch.randint(256, (9, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    own = classifier.predict(images)
    with watched(classifier) as last:
        features, _ = last(images.float() / 255)
        row = np.linspace(-1, 1, features.shape[1])
        found = WithGarbage(last, row, 0.5).predict(images)
    assert torch.allclose(found.logits[:, :10], own.logits, atol=1e-3)
    expected = features.double() @ torch.from_numpy(row) + 0.5
    assert torch.allclose(found.logits[:, 10].double(), expected, atol=1e-4)
    assert torch.allclose(found.probabilities.sum(1), torch.ones(9))
    assert torch.allclose(Tempered(classifier, 2.0).predict(images).logits, own.logits / 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lenet-mnist", "--mitigate", "ensemble"], "it needs other networks of the same classes"),
        (["efficientnet-lite0", "--mitigate", "temperature"], "and 400 are needed"),
        (
            ["ensemble:lenet-mnist+linear-mnist", "--mitigate", "none-of-the-above"],
            "is no network of torch that ends in a linear layer",
        ),
        (["lenet-mnist", "--mitigate", "prayer"], "prayer"),
    ],
)
def test_where_there_are_none_a_line_says_so(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute(["card", *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("cards/*/*"))
