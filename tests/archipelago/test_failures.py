from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from islands.archipelago.failures import DAY_S, Failures, window_s

THINGS = st.frozensets(st.sampled_from("abc"), min_size=1)
EVENTS = st.lists(st.tuples(st.booleans(), THINGS, st.floats(0, 20)))
"""Whether it was a failure, of what, and how long after the event before."""


@given(EVENTS, st.floats(0.1, 30))
def test_failures_are_those_since_the_thing_got_on_and_of_late(
    events: list[tuple[bool, frozenset[str], float]], window: float
) -> None:
    failures, past, now = Failures(window), [], 0.0
    for is_failure, things, later in events:
        now += later
        past.append((is_failure, things, now))
        if not is_failure:
            failures.got_on(things)
            continue
        counts = []
        for thing in things:
            own = [(failed, at) for failed, who, at in past if thing in who]
            since = max((i + 1 for i, (failed, _) in enumerate(own) if not failed), default=0)
            counts.append(sum(now - at < window for _, at in own[since:]))
        assert failures.failed(things, now) == max(counts)


def test_a_node_with_many_workers_is_one_failure_of_each() -> None:
    failures = Failures(window_s(8, 3600))
    assert failures.failed(range(9), now=0.0) == 1
    assert failures.failed([3], now=1.0) == 2


@given(st.integers(0, 100), st.integers(1, 10**6))
def test_the_window_holds_one_failure_more_than_is_allowed(limit: int, longest_s: int) -> None:
    window = window_s(limit, longest_s)
    failures = Failures(window)
    counts = [failures.failed(["epoch"], now=attempt * longest_s) for attempt in range(limit + 1)]
    assert counts[-1] == limit + 1
    assert window >= DAY_S
    assert failures.failed(["epoch"], now=limit * longest_s + window) == 1
