"""`card`: how a network is fooled, on a page."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from islands.classifiers.hosts import allow_hosts
from islands.cli.options import AllowHost, Force, Json, ProgressStyle
from islands.cli.run_commands import stdout_for_result
from islands.observe.display import observer


class Mitigation(StrEnum):
    """What may help."""

    NONE_OF_THE_ABOVE = "none-of-the-above"
    TEMPERATURE = "temperature"
    ENSEMBLE = "ensemble"


def card(
    network: Annotated[
        str,
        typer.Argument(metavar="NETWORK", help="As `islands networks` lists them, or '{name: NAME, …}'."),
    ],
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="NETWORK", help="Show it the images as well; may be repeated."),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", metavar="FOLDER", help="Real pictures, a folder for each class."),
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=0, help="About how long it may take.")] = 5.0,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, help="Runs of each attack; otherwise five, or what time allows."),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option("--images", min=1, help="Of each run, in place of --minutes: it repeats a card."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the runs.")] = 0,
    mitigate: Annotated[
        Mitigation | None,
        typer.Option("--mitigate", help="Change the network so, and attack it again: before and after."),
    ] = None,
    labels_only: Annotated[
        bool,
        typer.Option("--labels-only", help="Attack by labels alone as well; an image costs 20 queries."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where it goes; cards/NETWORK otherwise.")
    ] = None,
    allow_host: AllowHost = None,
    progress: ProgressStyle = None,
    as_json: Json = False,
) -> None:
    """Say how NETWORK is fooled: how easily, in which classes, and by what; a page, JSON and a badge."""
    allow_hosts(allow_host or ())
    from islands.cards.card_page import write_page
    from islands.cards.making import make_card
    from islands.cards.settling import Wish, folder_of
    from islands.config.resolve import read_networks

    (own,) = read_networks([network])
    folder = out or folder_of(own)
    wish = Wish(
        network=own,
        folder=folder,
        against=tuple(read_networks(against or [])),
        pictures=pictures,
        minutes=minutes,
        runs=seeds,
        images=images,
        seed=seed,
        mitigate=None if mitigate is None else mitigate.value,
        labels_only=labels_only,
    )
    with stdout_for_result(), observer(progress) as observe:
        found = make_card(wish, observe)
        page = None if found is None else write_page(found, folder)
    if found is None or page is None:
        print(f"stopped; the same command goes on with what is in {folder}", file=sys.stderr)
        raise typer.Exit(130)
    print(found.card.as_text() if as_json else f"{found.card.summary()}\n{page}")


def cards(
    places: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Cards, or folders with cards in them.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="HTML", help="Where the page goes.")] = Path(
        "cards.html"
    ),
    force: Force = False,
) -> None:
    """Lay many cards side by side: one page with a table that sorts."""
    from islands.cards.cards_table import read_cards, render_table
    from islands.cli.written_files import require_new
    from islands.errors import InputError
    from islands.files import write_whole

    if out.is_dir():
        raise InputError(f"{out} is a folder; name a file for the page, such as {out / 'cards.html'}")
    require_new(out, force)
    write_whole(out, render_table(read_cards(places)))
    print(out)
