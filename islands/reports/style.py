"""How figures for papers look: widths, fonts, colours that all can tell apart, log-odds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from islands.texts import level

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Width = Literal["single", "double"]
"""Of a figure, in columns of a paper."""

INCHES: Mapping[Width, float] = {"single": 3.4, "double": 7.0}
"""As IEEE, ACM and Elsevier have it, about."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, which people with any colour vision tell apart; their yellow is too light for lines."""

DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
"""Styles of lines: they tell lines apart in print without colours."""

_RC: Mapping[str, Any] = {
    # Type 42 is TrueType: journals refuse the Type 3 that matplotlib writes unless told otherwise.
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "axes.titlesize": 8.0,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}

_LEVELS = (1e-6, 1e-5, 1e-4, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)

_LEAST, _MOST = 1e-7, 1 - 1e-7
"""What float32 can tell from none and from all, about; log-odds of these themselves are infinite."""


@contextmanager
def styled() -> Iterator[None]:
    """Let what is drawn and saved meanwhile look so."""
    import matplotlib

    rc: Any = dict(_RC)  # its type lists every name
    with matplotlib.rc_context(rc):
        yield


def new_figure(width: float = 6.0, height: float = 3.6) -> Figure:
    """Return an empty figure, its sides in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def lines(count: int) -> list[dict[str, Any]]:
    """Return colour and dashes of each of `count` lines, all different up to 35."""
    pairs = zip(cycle(COLOURS), cycle(DASHES), strict=False)
    return [
        {"color": colour, "linestyle": dashes}
        for _, (colour, dashes) in zip(range(count), pairs, strict=False)
    ]


def shown(confidence: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return confidences as an axis of log-odds can show them: 0 and 1 a little within."""
    return np.clip(np.asarray(confidence, np.float64), _LEAST, _MOST)


def log_odds(
    axes: Axes, which: Literal["x", "y"], confidence: npt.ArrayLike, label: str = "confidence"
) -> None:
    """Scale an axis by log-odds, with ticks in percent, as far as `confidence` reaches."""
    found = shown(confidence)
    low, high = min(found.min(initial=0.5), 0.5), max(found.max(initial=0.5), 0.5)
    ticks = [each for each in _LEVELS if low / 2 <= each and 1 - each >= (1 - high) / 2]
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("logit")
    axis.set_minor_locator(_nowhere())
    axis.set_ticks(ticks, [level(each) for each in ticks])
    axis.set_label_text(label)


def _nowhere() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()
