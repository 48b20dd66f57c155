"""Images that no evolution made, to compare with those that it did."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from islands.classifiers.apart import one_thread
from islands.classifiers.contract import Classifier
from islands.encodings.factory import build_encoding
from islands.encodings.settings import CppnSettings
from islands.evolution.streams import first_id, variation_stream
from islands.store.images import stored_encoding
from islands.store.reader import StoreReader

_BATCH = 32


class LabelledImages(NamedTuple):
    """Images uint8 (n, channels, size, size), and the classes (n,) that they stand for."""

    images: Tensor
    classes: npt.NDArray[np.int64]


def noise(channels: int, size: int, class_count: int, n: int) -> LabelledImages:
    """Return pixels drawn uniformly; image i stands for class i mod K."""
    generator = torch.Generator().manual_seed(0)
    shape = (n, channels, size, size)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    return LabelledImages(images, np.arange(n) % class_count)


def random_cppns(channels: int, size: int, class_count: int, n: int) -> LabelledImages:
    """Return random patterns; image i stands for class i mod K."""
    encoding = build_encoding(CppnSettings(), channels, size)
    genomes = encoding.random(n, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return LabelledImages(encoding.render(genomes), np.arange(n) % class_count)


def generation_0(reader: StoreReader, n: int) -> LabelledImages:
    """Return the elites of generation 0, or `n` of them, drawn again from the seed of the run.

    The history says which of the random images took each cell. The images are those of the run on the kind of
    hardware that it evolved on; elsewhere other random images come in their place. Where gradients tuned
    generation 0, they are the images before that.
    """
    config, encoding = reader.config, stored_encoding(reader)
    count = config.islands.count
    cpu = torch.device("cpu")
    images, classes = [], []
    for run in range(reader.runs):
        history = reader.history(run)
        first = history["epoch"] == 0
        for island in range(count):
            rows = first & (history["island"] == island)
            start = first_id(0, island, count, config.evolution.largest_batch)
            stream = variation_stream(cpu, config.seed, run, island, 0)
            drawn = encoding.random(config.evolution.seeds_of(island), stream)
            chosen = torch.from_numpy(history["id"][rows].astype(np.int64) - start)
            with torch.inference_mode():
                images.append(encoding.render(drawn.take(chosen)))
            classes.append(history["class"][rows].astype(np.int64))
    found = LabelledImages(torch.cat(images), np.concatenate(classes))
    if len(found.classes) <= n:
        return found
    kept = np.sort(np.random.default_rng(0).choice(len(found.classes), n, replace=False))
    return LabelledImages(found.images[torch.from_numpy(kept)], found.classes[kept])


def max_softmax(classifier: Classifier, images: Tensor) -> npt.NDArray[np.float32]:
    """Return the highest probability (n,) that the network gives to any class, for images that are many.

    They pass in batches: their bits depend on the order.
    """
    with one_thread():
        found = [classifier.predict(batch).probabilities.amax(1).cpu() for batch in images.split(_BATCH)]
    return torch.cat(found).numpy()
