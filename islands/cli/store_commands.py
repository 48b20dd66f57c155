"""`export`, `verify`, `tag` and `prune`: what one does with a store."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from islands.classifiers.hosts import allow_hosts
from islands.cli.options import AllowHost, At, Json, Store, TrustNetworks, warn_of_old
from islands.errors import InputError


class Layout(StrEnum):
    """What an export looks like."""

    PAPER = "paper"
    FLAT = "flat"
    FOLDER = "folder"
    CELLS = "cells"
    PYTORCH_OOD = "pytorch-ood"
    OPENOOD = "openood"
    ZARR = "zarr"


def export(
    store: Store,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new or empty folder.")],
    layout: Annotated[
        Layout,
        typer.Option(
            "--layout",
            help="The authors' file names, one folder, a folder per class, that of all cells, what "
            "pytorch-ood and OpenOOD read, or Zarr.",
        ),
    ] = Layout.PAPER,
    at: At = None,
) -> None:
    """Write all images of a run, or all its data as plain Zarr."""
    from islands.store.export import export as write
    from islands.store.reader import StoreReader

    count = write(StoreReader(store, at), out, layout.value)
    print(f"wrote {count} files to {out}")


def verify(
    store: Store,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Elites of each run to score.", show_default="100")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Score every elite.")] = False,
    at: At = None,
    trust_networks: TrustNetworks = False,
    allow_host: AllowHost = None,
    as_json: Json = False,
) -> None:
    """Check the hashes of a store, and that its images score what it says."""
    allow_hosts(allow_host or ())
    if all_ and sample is not None:
        raise InputError("give --sample for some elites or --all for every one, not both")
    from dataclasses import asdict

    from islands.runs.verify import SAMPLE
    from islands.runs.verify import verify as check

    found = check(store, None if all_ else sample or SAMPLE, at, trust_networks=trust_networks)
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        print(f"scored {found.elites:,} elites again; largest difference {found.largest_difference:.2g}")
        for line in found.conditions:
            print(f"computed otherwise: {line}")
        for line in found.mismatches:
            print(f"error: {line}", file=sys.stderr)
    if found.mismatches:
        raise typer.Exit(1)


def tag(
    store: Store,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the checkpoint.")],
    at: At = None,
) -> None:
    """Name a checkpoint, so that it is kept whatever `checkpoint.keep` says."""
    from islands.store.reader import StoreReader
    from islands.store.writer import StoreWriter

    reader = StoreReader(store, at)
    if reader.epoch is None:
        raise InputError(f"{store} has no checkpoint yet: there is nothing to tag")
    with StoreWriter.open(store) as writer:
        writer.tag(name, reader.session.snapshot_id)
    print(f"{name} is epoch {reader.epoch} of {store}")


Keep = Annotated[
    int | None, typer.Option("--keep", min=1, help="Newest to keep.", show_default="as configured")
]


def gc(store: Store, keep: Keep = None) -> None:
    """Do what `prune` does, under its old name."""
    warn_of_old("`islands gc`", "`islands prune`")
    prune(store, keep)


def prune(store: Store, keep: Keep = None) -> None:
    """Forget old checkpoints, but for tagged ones, and free their space."""
    from islands.store.reader import StoreReader
    from islands.store.writer import StoreWriter

    reader = StoreReader(store)
    with StoreWriter.open(store) as writer:
        forgotten, freed = writer.collect(keep or reader.config.checkpoint.keep)
    kept = len(StoreReader(store).checkpoints())
    print(f"forgot {forgotten} checkpoints, freed {freed / 1e6:,.1f} MB; {kept} can be read")
