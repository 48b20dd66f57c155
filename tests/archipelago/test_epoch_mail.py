"""What the driver keeps of the mail."""

from __future__ import annotations

import numpy as np
import pytest

from islands.archipelago.epoch_mail import Claims
from islands.evolution.cells import PAPER, CellLayout
from tests.store.samples import make_elites


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_best_claim_of_each_class_is_kept_in_whatever_order_mail_comes(order: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    sent = {sender: make_elites(generator, 12, 12).take(np.arange(sender, 12)) for sender in range(3)}
    for elites in sent.values():
        elites.fitness[:] = np.round(elites.fitness * 4) / 4  # so that some are equal
    claims = Claims(12, PAPER)
    for sender in order:
        claims.add(sender, sent[sender])
    kept = list(claims.of(range(0, 12)))
    assert [sender for sender, _ in kept] == sorted(sender for sender, _ in kept)
    found = {int(c): (s, part.fitness[i]) for s, part in kept for i, c in enumerate(part.classes)}
    for class_ in range(12):
        offers = [
            (-float(elites.fitness[elites.classes == class_][0]), sender)
            for sender, elites in sent.items()
            if class_ in elites.classes
        ]
        fitness, sender = min(offers)
        assert found[class_] == (sender, -fitness)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_where_bins_have_places_all_claims_are_kept(order: tuple[int, ...]) -> None:
    sent = {sender: make_elites(np.random.default_rng(sender), 12, 12) for sender in range(3)}
    claims = Claims(6, CellLayout(places=2))
    for sender in order:
        claims.add(sender, sent[sender])
    found = dict(claims.of(range(4, 8)))
    assert list(found) == [0, 1, 2]
    for sender, part in found.items():
        assert part.ids.tolist() == sent[sender].ids[4:8].tolist()
