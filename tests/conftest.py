"""Settings of all tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.store.object_storage import s3_server

# No test asserts a time: the first example may wait for a kernel to compile, and machines are busy.
settings.register_profile("islands", deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None, max_examples=400)
settings.load_profile("islands")

# A package by itself, whose tests run where it is installed: see `extensions/test_plugin.py`.
collect_ignore = ["plugin"]

STARTS_RAY = {
    "archipelago/test_bench_workers.py",
    "archipelago/test_commit_faults.py",
    "archipelago/test_determinism.py",
    "archipelago/test_not_finite.py",
    "archipelago/test_scoring.py",
    "archipelago/test_workers.py",
    "cluster/test_jobs.py",
    "extensions/test_plugin.py",
    "cluster/test_two_hosts.py",
    "observe/test_observers.py",
    "runs/test_doctor.py",
    "store/test_bucket.py",
    "test_chaos.py",
    "test_end_to_end.py",
    "test_surroundings.py",
}
"""Files whose tests start clusters. Two on one machine share the port of Ray's job agent: the second takes no
jobs."""


SHARE_FIXTURES = {"reports"}
"""Folders whose tests share a store and a browser."""


def examples(few: int) -> int:
    """Return how many examples of a property that takes long are drawn: `few`, or 16 times as many.

    `pytest --hypothesis-profile thorough` asks for many.
    """
    return 16 * few if settings.get_current_profile_name() == "thorough" else few


class ByFixtures(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Keeps in one process what shares fixtures: a file, or a folder; and all that starts Ray.

    Not by xdist's own marks of groups: xdist 3.8 writes them where pytest 9.2 does not look, and every test
    is then a group of its own, without a word.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].removeprefix("tests/")
        folder = file.partition("/")[0]
        if file in STARTS_RAY:
            return "ray"
        return folder if folder in SHARE_FIXTURES else file


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
