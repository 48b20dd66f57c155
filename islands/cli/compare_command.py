"""`compare`: searches at equal images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from islands.classifiers.hosts import allow_hosts, as_options
from islands.cli.options import AllowHost, Json, Overrides, ProgressStyle
from islands.cli.run_commands import File, stdout_for_result
from islands.observe.display import observer
from islands.texts import islands_command


def compare(
    file: File,
    arms: Annotated[Path, typer.Option("--arms", metavar="YAML", help="Settings of each arm, by its name.")],
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Archives of each arm.")] = 5,
    images: Annotated[int, typer.Option("--images", min=1, help="Images of each archive.")] = 24_000,
    overrides: Overrides = None,
    progress: ProgressStyle = None,
    allow_host: AllowHost = None,
    as_json: Json = False,
) -> None:
    """Compare searches on FILE at equal images: curves, intervals over seeds, tests; a page and JSON."""
    allow_hosts(allow_host or ())
    from islands.experiments.arms import NAME, arm_configs, read_arms, run_arms
    from islands.store.location import Location

    own = read_arms(arms)
    configs = arm_configs(file, own, seeds, images, tuple(overrides or ()))
    folder = Location.of(next(iter(configs.values()))[0].store).path.parents[1]
    chosen = [word for each in overrides or () for word in ("--set", each)] + as_options()
    again = islands_command("compare", file, "--arms", arms, "--seeds", seeds, "--images", images, *chosen)
    with stdout_for_result(), observer(progress) as observe:
        found = run_arms(configs, folder, own, again, observe)
    if found is None:
        print(f"stopped; the same command goes on with what is in {folder}", file=sys.stderr)
        raise typer.Exit(130)
    if as_json:
        print((folder / f"{NAME}.json").read_text(encoding="utf-8"), end="")
        return
    for arm in found.arms:
        interval = "" if arm.area.low is None else f" [{arm.area.low:.3f}, {arm.area.high:.3f}]"
        print(
            f"{arm.name:<20}median {arm.final_median.mean:.3f}  mean log probability"
            f" {arm.final_log.mean:.3f}, over the run {arm.area.mean:.3f}{interval}"
        )
    print(f"{folder / NAME}.html")
