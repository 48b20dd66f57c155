"""The last screen of a run: how long it took, what came out, and what to do next."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from islands.texts import duration, islands_command, level, percent

if TYPE_CHECKING:
    from islands.store.status import Status


def closing(store: str, seconds: float) -> str:
    """Return the last screen of a run that took `seconds` this time; the next steps are its last lines."""
    from islands.store.schema import THRESHOLDS
    from islands.store.status import read_status

    found = read_status(store)
    state = "complete" if found.complete else "stopped"
    at = ", ".join(f"{count:,} at {level(THRESHOLDS[name])}" for name, count in found.cells_at.items())
    rows = {
        found.pipeline: (
            f"{state} after {duration(seconds)}: generation {found.generation:,} of {found.generations:,},"
            f" {found.evaluations:,} images"
        ),
        "confidence": f"median {percent(found.median_confidence)}; generation 0: "
        + percent(found.median_at_start),
        "classes": f"{at} (of {found.cells:,} in {found.runs} run{'s' if found.runs > 1 else ''})",
        **_verdicts(Path(found.store)),
    }
    return _aligned(rows, [found.next, *_more(found)])


def closing_of_several(folder: Path, seconds: float) -> str:
    """Return the last screen of an experiment of several runs."""
    rows = {"experiment": f"complete after {duration(seconds)}, in {folder}", **_verdicts(folder)}
    return _aligned(rows, [islands_command("findings", folder)])


def _more(found: Status) -> list[str]:
    """Return what else one may do now."""
    if found.complete:
        best = islands_command("query", found.store, "--preset", "best")
        return [islands_command("report", found.store), best]
    return [islands_command("status", found.store), islands_command("show", found.store, "--sheet")]


def _verdicts(folder: Path) -> dict[str, str]:
    """Return the row of verdicts, where findings were written."""
    file = folder / "findings.json"
    if not file.is_file():
        return {}
    counts = Counter(finding["verdict"] for finding in json.loads(file.read_text(encoding="utf-8")))
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    return {"verdicts": f"{told} (`{islands_command('findings', folder)}` tells them)"}


def _aligned(rows: dict[str, str], steps: list[str]) -> str:
    width = max(14, *map(len, rows)) + 1
    lines = [f"{name:<{width}}{value}" for name, value in rows.items()]
    lines += [f"{'' if number else 'next':<{width}}{step}" for number, step in enumerate(steps)]
    return "\n".join(lines)
