"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from islands.cli import completing
from islands.observe.display import Style
from islands.observe.lines import say

Store = Annotated[str, typer.Argument(metavar="STORE", help="The folder of a run, or its s3:// URL.")]
At = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="EPOCH", help="An earlier checkpoint: its epoch, nearest:EPOCH, its tag or id."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a setting, such as evolve.generations=400.",
        autocompletion=completing.settings,
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Return when the run has begun; it goes on by itself.")
]
Class = Annotated[
    str | None,
    typer.Option(
        "--class",
        metavar="CLASS",
        help="Name or index; name:1 or index:1 where both could be.",
        autocompletion=completing.classes,
    ),
]
TrustNetworks = Annotated[
    bool,
    typer.Option(
        "--trust-networks", help="Load a network even if it is code, or a file, that the store names."
    ),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="HOST",
        help="Let served networks (kserve:URL/MODEL) be asked at HOST, beside this machine; may be repeated. "
        "Ask its owner first: a run asks about thousands of images.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ProgressStyle = Annotated[
    Style | None,
    typer.Option("--progress", help="How to show progress; rich on a terminal, else plain."),
]


def warn_of_old(old: str, new: str) -> None:
    """Say on stderr what an old word is called now; it works until the next release."""
    say(f"warning: {old} is now {new}; the old one goes with the next release")
