"""A lineage as a picture, an animation, a tree in Newick or GraphML, or JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from islands.errors import StoreError
from islands.reports.figures import require_suffix
from islands.reports.moving import save_animation
from islands.store.genealogy import Ancestor, Genealogy, newick
from islands.store.images import Picture, Studio
from islands.store.reader import StoreReader
from islands.texts import percent

MOVING = ("gif", "webp", "mp4")
DRAWN = ("png", "svg", "pdf", *MOVING)
NEWICK = ("nwk", "newick", "tree", "tre")
"""As programs that read trees call them."""
SUFFIXES = (*DRAWN, *NEWICK, "graphml", "json")


def save_lineage(reader: StoreReader, run: int, class_: int | None, path: Path, size: int | None) -> None:
    """Write the lineage of an elite, or the tree of a run, in the format that the suffix of `path` names.

    Args:
        reader: the store.
        run: counted from 0.
        class_: whose elite; None: the tree of all elites.
        path: .png, .svg or .pdf for a strip of pictures (or the tree), .gif, .webp or .mp4 for an animation
            of an elite's ancestors, .nwk (or .newick, .tree, .tre), .graphml or .json.
        size: of the animation's pictures; None: as they were scored.

    Raises:
        InputError: another suffix.
        StoreError: there is no such elite, or genomes of ancestors were not kept.
    """
    known = SUFFIXES if class_ is not None else (*NEWICK, "graphml")
    suffix = require_suffix(path, known)
    genealogy = Genealogy(reader, run)
    if suffix in NEWICK:
        path.write_text(newick(genealogy.tree(class_)) + "\n", encoding="utf-8")
    elif suffix == "graphml":
        import networkx

        networkx.write_graphml(genealogy.tree(class_), path)
    elif class_ is not None:
        chain = genealogy.chain(class_)
        if suffix == "json":
            path.write_text(json.dumps([as_json(ancestor, reader) for ancestor in chain], indent=1) + "\n")
        elif suffix in MOVING:
            save_animation(
                [picture for _, picture in drawn(reader, run, chain, size)],
                path,
                captions=[caption(each, reader) for each in chain],
            )
        else:
            _save_strip(reader, drawn(reader, run, chain), path)


def drawn(
    reader: StoreReader, run: int, chain: list[Ancestor], size: int | None = None
) -> list[tuple[Ancestor, Picture]]:
    """Draw every ancestor of a chain as it was scored, or at another size.

    Raises:
        StoreError: the genome of one was not kept.
    """
    studio = Studio(reader, run)
    pictures = [(ancestor, studio.draw(ancestor.id, size)) for ancestor in chain]
    missing = sum(picture is None for _, picture in pictures)
    if missing:
        raise StoreError(
            f"{reader.path} keeps only the ids of ancestors: {missing} of {len(chain)} cannot be drawn;"
            " launch with checkpoint.ancestors=genomes to keep them, or resume so to keep those to come"
        )
    return [(ancestor, picture) for ancestor, picture in pictures if picture is not None]


def caption(ancestor: Ancestor, reader: StoreReader) -> str:
    """Return a line that says when an ancestor came, and of what it was surest."""
    best = ancestor.held[0]
    name = reader.classes[best.class_]
    return f"gen. {ancestor.generation:,}  {name[:20]}  {percent(best.confidence)}"


def as_json(ancestor: Ancestor, reader: StoreReader) -> dict[str, Any]:
    """Return an ancestor as JSON takes it, with the names of its classes."""
    held = [
        {"class": held.class_, "name": reader.classes[held.class_], "confidence": held.confidence}
        for held in ancestor.held
    ]
    return {**asdict(ancestor), "held": held}


def _save_strip(reader: StoreReader, pictures: list[tuple[Ancestor, Picture]], path: Path) -> None:
    from matplotlib.figure import Figure

    across = min(10, len(pictures))
    down = -(-len(pictures) // across)
    figure = Figure(figsize=(across * 1.1, down * 1.5), layout="constrained")
    places = figure.subplots(down, across, squeeze=False).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, (ancestor, picture) in zip(places, pictures, strict=False):
        axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        best = ancestor.held[0]
        name = reader.classes[best.class_]
        label = f"gen. {ancestor.generation}\n{name[:17]}\n{percent(best.confidence)}"
        axes.set_title(label, fontsize=6, pad=2)
    figure.savefig(path, dpi=200)
