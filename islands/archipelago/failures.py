"""How often things have failed that should get on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

DAY_S = 86_400.0


class Failures:
    """Counts the failures of each thing since it last got on, those of long ago left out.

    Each thing has a count of its own: what many of them have in common, such as the loss of their node, is
    one failure of each, and what fails again and again is found although others get on. A thing that moves on
    to a worker which was lost with its last one has not failed again.

    Args:
        window_s: seconds after which a failure is forgotten.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._times: dict[Hashable, list[float]] = {}

    def failed(self, things: Iterable[Hashable], began: float, now: float) -> int:
        """Note that each of `things` failed at `now`; return the most failures that one of them has.

        Args:
            things: what failed.
            began: when the worker was started on which they did: it was there at failures since.
            now: not before the `now` of the call before.
        """
        most = 0
        for thing in things:
            times = [at for at in self._times.get(thing, ()) if now - at < self._window_s]
            if not times or times[-1] <= began:
                times.append(now)
            self._times[thing] = times
            most = max(most, len(times))
        return most

    def got_on(self, things: Iterable[Hashable]) -> None:
        """Note that each of `things` did what it was to do."""
        for thing in things:
            self._times.pop(thing, None)


def window_s(limit: int, longest_s: float) -> float:
    """Return a window that holds more than `limit` failures in a row, each after at most `longest_s`."""
    return max(DAY_S, (limit + 1) * longest_s)
