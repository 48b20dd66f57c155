"""A small card of the digits, against another network; and what its page is looked at with."""

from __future__ import annotations

from pathlib import Path

import pytest

from islands.cards.card_page import write_page
from islands.cards.making import Evidence, make_card
from islands.cards.mitigating import Kind
from islands.cards.settling import Wish
from islands.config import NetworkConfig
from tests.reports.conftest import browser as browser


def small_wish(folder: Path, mitigate: Kind | None = None) -> Wish:
    """Return what is asked for: two runs of 2,000 images against LeNet."""
    against = (NetworkConfig(name="svm-mnist"),)
    network = NetworkConfig(name="lenet-mnist")
    return Wish(network, folder, against=against, runs=2, images=2000, mitigate=mitigate)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """The card of LeNet, two runs of 2,000 images; its folder is that of the stores."""
    folder = tmp_path_factory.mktemp("cards") / "lenet"
    found = make_card(small_wish(folder))
    assert found is not None
    write_page(found, folder)
    return found


@pytest.fixture(scope="session")
def folder(made: Evidence) -> Path:
    return Path(str(made.readers[0].path)).parent
