from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from islands.archipelago.failures import DAY_S, Failures, window_s

THINGS = st.frozensets(st.sampled_from("abc"), min_size=1)
EVENTS = st.lists(st.tuples(st.booleans(), THINGS, st.integers(0, 20), st.integers(0, 40)))
"""Whether it was a failure, of what, how long after the event before, and how old its worker was."""


@given(EVENTS, st.integers(1, 60))
def test_failures_are_those_since_the_thing_got_on_and_of_late(
    events: list[tuple[bool, frozenset[str], int, int]], window: int
) -> None:
    failures, now = Failures(window), 0
    counted: dict[str, list[int]] = {thing: [] for thing in "abc"}
    for is_failure, things, later, age in events:
        now += later
        if not is_failure:
            failures.got_on(things)
            counted |= {thing: [] for thing in things}
            continue
        for thing in things:
            of_late = [at for at in counted[thing] if now - at < window]
            if not any(now - age < at for at in of_late):
                of_late.append(now)
            counted[thing] = of_late
        assert failures.failed(things, now - age, now) == max(len(counted[thing]) for thing in things)


def test_a_node_with_many_workers_is_one_failure() -> None:
    """An island that moves from one to the next, as they are found gone, has failed once."""
    failures = Failures(window_s(8, 3600))
    assert failures.failed(range(9), began=0, now=10) == 1
    assert [failures.failed([f"worker {number}", "island"], 0, 20 + number) for number in range(9)] == [1] * 9
    assert failures.failed(["island"], began=25, now=40) == 2


@given(st.integers(0, 100), st.integers(1, 10**6))
def test_the_window_holds_one_failure_more_than_is_allowed(limit: int, longest_s: int) -> None:
    window = window_s(limit, longest_s)
    failures = Failures(window)
    times = range(0, (limit + 1) * longest_s, longest_s)
    assert [failures.failed(["epoch"], now, now) for now in times][-1] == limit + 1
    assert window >= DAY_S
    later = times[-1] + window
    assert failures.failed(["epoch"], later, later) == 1
