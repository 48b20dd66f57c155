"""`paper` and `findings`: what the paper claims, beside what came out here."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from islands.cli.options import Json, Overrides, ProgressStyle
from islands.texts import duration

if TYPE_CHECKING:
    from islands.experiments.paper import Forecast


class Budget(StrEnum):
    """How much each experiment may spend."""

    SMALL = "small"
    LAPTOP = "laptop"
    FULL = "full"


def paper(
    budget: Annotated[
        Budget,
        typer.Option(
            "--budget",
            help="small: under half an hour of two cores; laptop: hours of them, digits at the paper's size, "
            "ImageNet with one view; full: the paper's.",
        ),
    ] = Budget.SMALL,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="An experiment; may be repeated.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="A folder for each experiment, and the report.")
    ] = Path("runs/paper"),
    overrides: Overrides = None,
    progress: ProgressStyle = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it would take here, and stop; trains small networks.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run all experiments of the paper, or go on with them, and report claim by claim."""
    from islands.cli.run_commands import stdout_for_result
    from islands.experiments import paper_report as report
    from islands.experiments.paper import forecast, reproduce
    from islands.observe.display import observer

    folder = out / budget.value
    if plan:
        found = []
        for each in forecast(budget.value, folder, only or (), overrides or ()):
            found.append(each)
            if not as_json:
                print(_forecast_line(each), flush=True)
        print(json.dumps([asdict(each) for each in found]) if as_json else _forecast_sum(found))
        return
    with stdout_for_result(), observer(progress) as observe:
        chapters = reproduce(
            budget.value, folder, only=only or (), overrides=overrides or (), observe=observe
        )
    if chapters is None:
        print("stopped; the same command goes on", file=sys.stderr)
        raise typer.Exit(130)
    report.write(chapters, budget.value, folder)
    text = (folder / f"{report.NAME}.json").read_text(encoding="utf-8")
    print(text if as_json else report.as_markdown(chapters, budget.value), end="")
    print(f"wrote {folder / report.NAME}.md", file=sys.stderr)
    if any(chapter.failure is not None for chapter in chapters):
        raise typer.Exit(1)


def _forecast_line(found: Forecast) -> str:
    took = "not measured here" if found.seconds is None else duration(found.seconds)
    evolved = f"{found.images:>12,} images  {took:<20}" if found.images else f"{'':41}"
    return f"{found.pipeline:<26}{evolved} {', '.join(found.beside)}"


def _forecast_sum(found: Sequence[Forecast]) -> str:
    seconds = sum(each.seconds or 0.0 for each in found)
    return f"{duration(seconds)} of evolution, beside the stages that are named"


def findings(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of experiments; some compare two.")
    ],
    as_json: Json = False,
) -> None:
    """Set what experiments found beside the paper's figures, from their folders alone."""
    from islands.experiments.findings.verdicts import as_text
    from islands.experiments.runner import findings_of

    found = findings_of(folders)
    if as_json:
        print(json.dumps({name: [each.as_json() for each in rows] for name, rows in found.items()}))
        return
    print("\n\n".join(f"{name}\n\n{as_text(rows)}" for name, rows in found.items()))
