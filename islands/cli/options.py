"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from islands.observe.display import Style

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, such as evolve.generations=400."),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Return when the run has begun; it goes on by itself.")
]
Class = Annotated[
    str | None,
    typer.Option("--class", metavar="CLASS", help="Name or index; name:1 or index:1 where both could be."),
]
TrustNetworks = Annotated[
    bool,
    typer.Option(
        "--trust-networks", help="Load a network even if it is code, or a file, that the store names."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ProgressStyle = Annotated[
    Style | None,
    typer.Option("--progress", help="How to show progress; rich on a terminal, else plain."),
]
