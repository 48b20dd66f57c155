"""A small card of the digits, against another network; and what its page is looked at with."""

from __future__ import annotations

from pathlib import Path

import pytest

from islands.cards.card_page import write_page
from islands.cards.making import Evidence, make_card
from islands.cards.settling import Wish
from islands.config import NetworkConfig
from tests.reports.conftest import browser as browser


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """The card of LeNet, two runs of 2,000 images; its folder is that of the stores."""
    folder = tmp_path_factory.mktemp("cards") / "lenet"
    wish = Wish(
        NetworkConfig(name="lenet-mnist"),
        folder,
        against=(NetworkConfig(name="svm-mnist"),),
        runs=2,
        images=2000,
    )
    found = make_card(wish)
    assert found is not None
    write_page(found, folder)
    return found


@pytest.fixture(scope="session")
def folder(made: Evidence) -> Path:
    return Path(str(made.readers[0].path)).parent
