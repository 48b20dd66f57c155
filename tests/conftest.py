"""Settings of all tests."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.store.object_storage import s3_server

ROOT = Path(__file__).parent

# A shell lets what it starts with `&` ignore Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts a time: the first example may wait for a kernel to compile, and machines are busy.
settings.register_profile("islands", deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None, max_examples=400)
settings.load_profile("islands")

# A package by itself, whose tests run where it is installed: see `extensions/test_plugin.py`.
collect_ignore = ["plugin"]

LONG = (
    "cluster/test_jobs.py",
    "test_chaos.py",
    "archipelago/test_workers.py",
    "test_end_to_end.py",
    "extensions/test_plugin.py",
    "test_surroundings.py",
    "archipelago/test_determinism.py",
    "archipelago/test_commit_faults.py",
)
"""Files that take a minute or more, longest first: begun last, they would end long after all others."""

SHARE_FIXTURES = {"cards", "reports"}
"""Folders whose tests share stores and a browser."""


def examples(few: int) -> int:
    """Return how many examples of a property that takes long are drawn: `few`, or 16 times as many.

    `pytest --hypothesis-profile thorough` asks for many.
    """
    return 16 * few if settings.get_current_profile_name() == "thorough" else few


class ByFixtures(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Keeps in one process what shares fixtures: a file, or a folder.

    Not by xdist's own marks of groups: xdist 3.8 writes them where pytest 9.2 does not look, and every test
    is then a group of its own, without a word.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].removeprefix("tests/")
        folder = file.partition("/")[0]
        return folder if folder in SHARE_FIXTURES else file


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, in whatever order the rest is."""
    places = {ROOT / file: place for place, file in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Let the collector pass over what is imported by now: it stays, and tests of faults collect often.

    To look after every 700 objects takes a twentieth of the time of tests of stores.
    """
    gc.freeze()
    gc.set_threshold(10_000)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Let the processes of `-n` get tests so."""
    return ByFixtures(config, log)


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """A server that speaks S3, with an empty bucket: the environment that its clients need."""
    with s3_server() as values:
        yield values


@pytest.fixture(autouse=True)
def no_modules_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a test imports from files that it wrote is forgotten: another's may have the same name."""
    before = {*sys.modules}
    yield
    written = str(tmp_path_factory.getbasetemp())
    for name in sys.modules.keys() - before:
        if any(place.startswith(written) for place in _places(sys.modules[name])):
            del sys.modules[name]


def _places(module: ModuleType) -> list[str]:
    # Not by `getattr`: of what it has not, some of PyTorch's modules make something up.
    said = vars(module)
    return [*said.get("__path__", []), said.get("__file__") or ""]
