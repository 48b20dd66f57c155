"""Removes repeated elements from images, copy by copy, to see what each adds (paper, figure 10).

The paper's authors removed copies by hand. Here the image is reduced to a few colours; connected regions of
one colour that are about as large, as wide and as high are copies of each other. A copy is painted over with
the colour around it, the one farthest from the centre first, and one copy is left. As a control the same
shapes are painted over elsewhere.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy import ndimage

from islands.classifiers.contract import Classifier
from islands.classifiers.registry import load_classifier, resolve_device
from islands.experiments.context import Context
from islands.experiments.parameters import RepetitionParameters
from islands.store.images import render_elite
from islands.store.reader import StoreReader

STAGE = "repetition"
RUN = "evolved"
"""The name of the run whose elites are taken apart."""

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_LARGEST = 0.25
"""Share of the image up to which a region is an element and no background."""
_RING = 2
"""Width in pixels of the surroundings that give a removed element its colour."""
_SHIFTS = 4
"""Places a side where the control is tried."""


class Segment(NamedTuple):
    """A connected region of one colour: its pixels (H, W), how many they are, its height and its width."""

    mask: Mask
    area: int
    height: int
    width: int


def segments(picture: Picture, settings: RepetitionParameters) -> list[list[Segment]]:
    """Return the elements of an image uint8 (H, W, 1 or 3), a list for each colour."""
    rgb = Image.fromarray(np.repeat(picture, 3, 2) if picture.shape[2] == 1 else picture)
    colours = np.asarray(rgb.quantize(settings.colours, Image.Quantize.MEDIANCUT))
    found = []
    for colour in np.unique(colours):
        labels, count = ndimage.label(colours == colour)
        boxes = ndimage.find_objects(labels)
        areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        found.append(
            [
                Segment(labels == row + 1, int(areas[row]), *(side.stop - side.start for side in box))
                for row, box in enumerate(boxes)
                if settings.smallest <= areas[row] <= _LARGEST * colours.size
            ]
        )
    return found


def copies(picture: Picture, settings: RepetitionParameters) -> list[Mask]:
    """Return the copies of the element that covers most of the image, the farthest from the centre first.

    Fewer than two: nothing is repeated.
    """
    best: list[Segment] = []
    for same_colour in segments(picture, settings):
        for model in same_colour:
            alike = [segment for segment in same_colour if _alike(model, segment, settings.likeness)]
            if len(alike) > 1 and _covered(alike) > _covered(best):
                best = alike
    centre = (np.array(picture.shape[:2]) - 1) / 2
    away = [-np.linalg.norm(np.argwhere(segment.mask).mean(0) - centre) for segment in best]
    return [best[row].mask for row in np.argsort(away, kind="stable")]


def _alike(first: Segment, second: Segment, likeness: float) -> bool:
    pairs = zip(first[1:], second[1:], strict=True)
    return all(max(pair) <= likeness * min(pair) for pair in pairs)


def _covered(group: list[Segment]) -> int:
    return sum(segment.area for segment in group)


def without(picture: Picture, masks: list[Mask]) -> list[Picture]:
    """Return the image with 0, 1, … len(masks) - 1 of the elements painted over, in their order."""
    everything = np.any(masks, 0)
    found = [picture]
    for mask in masks[:-1]:
        grown = ndimage.binary_dilation(mask)
        ring = ndimage.binary_dilation(grown, iterations=_RING) & ~grown
        around = ring & ~everything if (ring & ~everything).any() else ring
        painted = found[-1].copy()
        painted[grown] = np.median(picture[around], 0).round().astype(np.uint8)
        found.append(painted)
    return found


def elsewhere(masks: list[Mask]) -> list[Mask]:
    """Return the shapes moved, with wrapping, to where they cover least of what they covered."""
    everything = np.any(masks, 0)
    height, width = everything.shape
    moves = [
        (down * height // _SHIFTS, right * width // _SHIFTS)
        for down, right in product(range(_SHIFTS), repeat=2)
        if down or right
    ]
    least = min(moves, key=lambda move: int((np.roll(everything, move, (0, 1)) & everything).sum()))
    return [np.roll(mask, least, (0, 1)) for mask in masks]


def run(context: Context[RepetitionParameters]) -> None:
    """Take the surest elites of all runs apart; an item for each."""
    parameters = context.parameters
    results, reader = context.items(STAGE), StoreReader(context.runs[RUN].store)
    torch.set_num_threads(context.config.workers.threads)
    device = resolve_device(context.config.workers.device)
    network = load_classifier(**context.config.network.model_dump(), device=device)
    for run, class_ in surest(reader, parameters):
        item = f"run {run} class {class_}"
        if results.get(item) is None:
            context.say(f"repetition: {reader.classes[class_]} of run {run}")
            picture = render_elite(reader, class_, run)
            place = {"run": run, "class": class_, "genome": int(reader.elites(run).ids[class_])}
            results.keep(item, {**place, **effects_of_copies(network, picture, class_, parameters)})


def surest(reader: StoreReader, settings: RepetitionParameters) -> list[tuple[int, int]]:
    """Return runs and classes of the elites of highest confidence, the surest first."""
    confidence = np.stack([reader.confidence(run) for run in range(reader.runs)])
    order = np.argsort(-confidence, axis=None, kind="stable")[: settings.images]
    places = [divmod(int(place), confidence.shape[1]) for place in order]
    return [place for place in places if confidence[place] >= settings.threshold]


def effects_of_copies(
    network: Classifier, picture: Picture, class_: int, settings: RepetitionParameters
) -> dict[str, Any]:
    """Return the number of `copies`, and the `confidence` and that of the `control` as they go, or None."""
    masks = copies(picture, settings)
    if len(masks) < 2:
        return {"copies": 0, "confidence": None, "control": None}
    return {
        "copies": len(masks),
        "confidence": _confidence(network, without(picture, masks), class_),
        "control": _confidence(network, without(picture, elsewhere(masks)), class_),
    }


def _confidence(network: Classifier, pictures: list[Picture], class_: int) -> list[float]:
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    found: list[float] = network.predict(images).probabilities[:, class_].tolist()
    return found
