"""`score` and `transfer`: what networks that took no part in evolution see in its images."""

from __future__ import annotations

import csv
import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from islands.classifiers.hosts import allow_hosts
from islands.cli import completing
from islands.cli.options import AllowHost, At, Force, Json, TrustNetworks
from islands.cli.written_files import require_new
from islands.errors import InputError
from islands.texts import percent

if TYPE_CHECKING:
    from islands.store.columns import Columns

PROGRESS_INTERVAL_S = 5.0

Network = Annotated[
    list[str],
    typer.Option(
        "--network",
        metavar="NAME",
        help="As `islands networks` lists them, or '{name: NAME, view: standard}'; may be repeated.",
        autocompletion=completing.networks,
    ),
]


def score(
    images: Annotated[
        Path,
        typer.Argument(metavar="STORE|FOLDER", help="A run's folder, an export of it, or pictures."),
    ],
    networks: Network,
    at: At = None,
    full: Annotated[
        bool, typer.Option("--full", help="Keep the probabilities over all classes as well.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write a .json or .csv instead of into the store."),
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Score on Ray instead of in this process.")] = False,
    count: Annotated[int, typer.Option("--scorers", min=1, help="Threads, or processes of Ray.")] = 1,
    trust_networks: Annotated[
        bool, typer.Option("--trust-networks", help="With --ray, join the cluster that the store names.")
    ] = False,
    allow_host: AllowHost = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Score the images of a run, or a folder of pictures, on networks that they were not evolved against."""
    allow_hosts(allow_host or ())
    from islands.config.resolve import read_networks

    read = read_networks(networks)
    _require_sensible(images, at, full, out, ray)
    if out is not None:
        require_new(out, force)
    from islands.cli.run_commands import stdout_for_result
    from islands.config import ScorersConfig
    from islands.runs.score import score_folder, score_store
    from islands.store.location import is_store_folder

    with stdout_for_result():
        if is_store_folder(images):
            columns = score_store(
                images,
                read,
                at=at,
                full=full,
                into_store=out is None and at is None,
                executor="ray" if ray else "in-process",
                scorers=ScorersConfig(count=count),
                observe=_Remaining(),
                trust_networks=trust_networks,
            )
        else:
            columns = score_folder(images, read, full=full, scorers=count)
    if out is not None:
        _write(columns, out)
    print(json.dumps(_rows(columns)) if as_json else _summary(columns))


def transfer(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Folders of runs.")],
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, max=1, help="What counts as confident on the source.")
    ] = 0.99,
    controls: Annotated[
        int, typer.Option("--controls", min=0, help="Images of each control; 0: none, loads no network.")
    ] = 200,
    trust_networks: TrustNetworks = False,
    allow_host: AllowHost = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one row for each number.")] = False,
    figure: Annotated[
        Path | None, typer.Option("--figure", metavar="FILE", help="Draw the matrix: .png, .pdf or .svg.")
    ] = None,
    force: Force = False,
) -> None:
    """Say how well images evolved against one network fool others: matrix, intervals, controls."""
    allow_hosts(allow_host or ())
    if as_json and as_csv:
        raise InputError("give --json or --csv, not both")
    if figure is not None and figure.suffix not in (".png", ".pdf", ".svg"):
        raise InputError(f"--figure {figure}: expected a file that ends in .png, .pdf or .svg")
    if figure is not None:
        require_new(figure, force)
    from islands.cli.run_commands import stdout_for_result
    from islands.runs.comparison import transfer as compare
    from islands.transfers.tables import as_text, draw

    with stdout_for_result():
        found = compare(stores, threshold=threshold, controls=controls, trust_networks=trust_networks)
    if figure is not None:
        draw(found, figure)
    if as_csv:
        rows = found.rows()
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        print(json.dumps(found.as_json()) if as_json else as_text(found))


class _Remaining:
    """Tells on stderr, every few seconds, how many scores are still to come."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, remaining: int) -> None:
        if remaining and time.monotonic() - self._last >= PROGRESS_INTERVAL_S:
            self._last = time.monotonic()
            print(f"{remaining:,} to score", file=sys.stderr, flush=True)


def _require_sensible(images: Path, at: str | None, full: bool, out: Path | None, ray: bool) -> None:
    from islands.store.location import is_store_folder

    if not images.is_dir():
        raise InputError(f"{images} is no folder; expected a store or a folder of pictures")
    if not is_store_folder(images) and (at is not None or ray):
        raise InputError(
            f"{images} is no store, and --at and --ray are for stores; expected a folder of a run"
        )
    if out is not None and out.suffix not in (".json", ".csv"):
        raise InputError(f"--out {out}: expected a file that ends in .json or .csv")
    if full and out is not None and out.suffix == ".csv":
        raise InputError(f"--out {out}: a table has no place for the probabilities of --full; expected .json")


def _write(columns: Columns, file: Path) -> None:
    rows = _rows(columns)
    with file.open("w", newline="", encoding="utf-8") as opened:
        if file.suffix == ".json":
            json.dump(rows, opened)
        else:
            writer = csv.DictWriter(opened, list(columns), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _rows(columns: Columns) -> list[dict[str, Any]]:
    values = [[_finite(value) for value in column.tolist()] for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _summary(columns: Columns) -> str:
    import numpy as np

    lines = []
    for network in dict.fromkeys(columns["network"]):
        rows = columns["network"] == network
        top1 = int((columns["target_rank"][rows] == 1).sum())
        lines.append(
            f"{network}: {top1} of {rows.sum()} images are taken for what they were meant for; median "
            f"probability {percent(np.median(columns['target_probability'][rows]))}, median rank "
            f"{np.median(columns['target_rank'][rows]):g}"
        )
    return "\n".join(lines)
