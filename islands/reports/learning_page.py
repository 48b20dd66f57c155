"""The page of searches that were compared: curves, tables, and how to repeat it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from islands.reports.style import new_figure
from islands.transfers.learning import Arm, Comparison, Estimate, Price

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; }
pre { background: #f4f4f4; padding: .5rem; overflow-x: auto; }
"""


def render(comparison: Comparison, settings: Mapping[str, str], command: str) -> str:
    """Return the page as HTML that needs nothing else.

    Args:
        comparison: what came out.
        settings: of each arm, as a file has them.
        command: that made it.
    """
    seeds = min(arm.seeds for arm in comparison.arms)
    parts = [
        "<h1>Searches at equal images</h1>",
        f"<p>{len(comparison.arms)} arms, {seeds} seed{'s' * (seeds > 1)} each, up to"
        f" {comparison.images[-1]:,.0f} images an archive. Bands and brackets are bootstrap intervals of 95 %"
        " over seeds.</p>",
        _svg(draw_courses(comparison)),
        "<h2>At the end, and on the way</h2>",
        _table(
            ["arm", "median confidence", "mean log probability", "its mean over the run"],
            [
                [arm.name, _shown(arm.final_median), _shown(arm.final_log), _shown(arm.area)]
                for arm in comparison.arms
            ],
        ),
        "<h2>Images until the median is at a level</h2>",
        _table(
            ["arm", *(f"{price.level:g}" for price in comparison.arms[0].prices)],
            [[arm.name, *(_price(price, arm) for price in arm.prices)] for arm in comparison.arms],
        ),
        "<h2>Are they apart?</h2>",
        "<p>Means over the run, by Welch's test; p-values are corrected for all pairs by Holm's method.</p>",
        _table(
            ["pair", "difference in nats", "p", "corrected"],
            [
                [f"{c.first} - {c.second}", f"{c.difference:+.3f}", _p(c.p), _p(c.corrected)]
                for c in comparison.contrasts
            ],
        ),
        "<h2>How it was made</h2>",
        f"<pre>{escape(command)}</pre>",
        *(f"<h3>{escape(name)}</h3><pre>{escape(text)}</pre>" for name, text in settings.items()),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Searches at equal images</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def draw_courses(comparison: Comparison) -> Figure:
    """Draw the median confidence and the mean log probability over images, with their intervals."""
    figure = new_figure(9.0, 3.8)
    left, right = figure.subplots(1, 2)
    for arm in comparison.arms:
        for axes, estimates in ((left, arm.median), (right, arm.log)):
            (line,) = axes.plot(comparison.images, [each.mean for each in estimates], label=arm.name)
            low = [each.mean if each.low is None else each.low for each in estimates]
            high = [each.mean if each.high is None else each.high for each in estimates]
            axes.fill_between(comparison.images, low, high, alpha=0.2, color=line.get_color(), linewidth=0)
    for axes, title in ((left, "median confidence"), (right, "mean log probability (nats)")):
        axes.set_xlabel("images scored")
        axes.set_title(title)
    left.legend()
    return figure


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]


def _table(head: list[str], rows: list[list[str]]) -> str:
    cells = [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    return f"<table><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>{''.join(cells)}</table>"


def _shown(value: Estimate) -> str:
    if value.low is None or value.high is None:
        return f"{value.mean:.3f}"
    return f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _price(price: Price, arm: Arm) -> str:
    images = "not reached" if price.images is None else f"{price.images:,.0f}"
    return images if price.reached == arm.seeds else f"{images} ({price.reached} of {arm.seeds} seeds)"


def _p(value: float | None) -> str:
    return "one seed" if value is None else f"{value:.3g}"
