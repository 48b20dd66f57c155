"""What a network makes of real pictures: how often it is right, how sure it is, and whether rightly so."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from islands.cards.images_to_fool import LEAST_RIGHT, rho5
from islands.classifiers.apart import one_thread
from islands.classifiers.contract import Classifier
from islands.datasets.real import real_images
from islands.errors import DataError, InputError
from islands.runs.labelled_pictures import PictureFolder
from islands.texts import percent

MOST = 4000
"""Pictures that are looked at; of more, these many are drawn."""

_BINS = 15
"""Of confidence, for the calibration error (Guo et al., arXiv 1706.04599)."""

_BATCH = 64


class Pictures(NamedTuple):
    """Real pictures as a network takes them.

    Attributes:
        images: uint8 (n, channels, size, size).
        labels: (n,) their classes.
        name: what they are in words.
    """

    images: Tensor
    labels: npt.NDArray[np.int64]
    name: str

    @property
    def digest(self) -> str:
        """Sha256 of images and classes."""
        sha = hashlib.sha256(self.images.contiguous().numpy().tobytes())
        sha.update(self.labels.tobytes())
        return sha.hexdigest()


@dataclass(frozen=True)
class RealLevel:
    """A network on n real pictures.

    Attributes:
        name: what they are.
        n: how many.
        right: that it sees right.
        accuracy: the share of them.
        confidence: median of what it is of those that it sees right; None: there are none.
        rho5: the confidence below which 5 % of them are; None: too few are right.
        calibration_error: the expected one, over 15 bins of confidence; 0 is best, 1 worst.
    """

    name: str
    n: int
    right: int
    accuracy: float
    confidence: float | None
    rho5: float | None
    calibration_error: float


def pictures_for(classifier: Classifier, folder: Path | None) -> Pictures:
    """Return real pictures of a network's classes: those in a folder, else those at hand.

    The class of a picture is what its folder is called. Each is resized until it covers the square that the
    network looks at, and its centre cut out.

    Raises:
        DataError: none are at hand.
        InputError: the folder has none, or pictures of other classes.
    """
    if folder is None:
        found = real_images(classifier.classes, classifier.channels, classifier.input_size)
        if found is None:
            raise DataError(
                f"no real pictures of the classes of {classifier.name} are at hand; give some with "
                "--pictures FOLDER, a folder for each class"
            )
        return _some(Pictures(*found))
    if not folder.is_dir():
        raise InputError(f"--pictures: {folder} is no folder; expected one with a folder for each class")
    size = classifier.input_size
    images, labels = [], []
    for picture in PictureFolder(folder).shown_to(classifier):
        images.append(_square(picture.pixels, size))
        labels.append(picture.class_)
    return _some(Pictures(torch.stack(images), np.array(labels, np.int64), f"pictures of {folder.name}"))


def halves(pictures: Pictures) -> tuple[Pictures, Pictures]:
    """Return the pictures from which something learns, and those on which it is tried."""
    order = np.random.default_rng(0).permutation(len(pictures.labels))
    middle = len(order) // 2
    first, second = (
        Pictures(pictures.images[torch.from_numpy(rows)], pictures.labels[rows], pictures.name)
        for rows in (order[:middle], order[middle:])
    )
    return first, second


def level_of(logits: npt.NDArray[np.floating], pictures: Pictures) -> RealLevel:
    """Return what a network makes of pictures, by its `logits` (n, K) of them."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    probabilities = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    top, sure = probabilities.argmax(1), probabilities.max(1)
    right = top == pictures.labels
    return RealLevel(
        name=pictures.name,
        n=len(right),
        right=int(right.sum()),
        accuracy=float(right.mean()),
        confidence=float(np.median(sure[right])) if right.any() else None,
        rho5=rho5(sure[right]),
        calibration_error=calibration_error(sure, right),
    )


def why_no_rho5(level: RealLevel) -> str:
    """Return why a network on these pictures has no rho5."""
    return (
        f"the network sees {level.right} of {level.n} real pictures right ({percent(level.accuracy)}), and "
        f"at least {LEAST_RIGHT} are needed: not calibrated, do not compare"
    )


def calibration_error(sure: npt.NDArray[np.floating], right: npt.NDArray[np.bool_]) -> float:
    """Return the expected calibration error of confidences (n,) in predictions that are `right` (n,) or not.

    Example:
        >>> calibration_error(np.array([0.75, 0.75, 0.75, 0.75]), np.array([True, True, True, False]))
        0.0
    """
    bins = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    gaps = [abs(float(sure[bins == each].sum() - right[bins == each].sum())) for each in np.unique(bins)]
    return sum(gaps) / len(sure)


def logits_of(classifier: Classifier, images: Tensor) -> npt.NDArray[np.float32]:
    """Return what a network gives for uint8 images (n, channels, H, W): (n, K) float32."""
    with one_thread():
        batches = (batch.to(classifier.device) for batch in images.split(_BATCH))
        found = [classifier.predict(batch).logits.cpu() for batch in batches]
    return torch.cat(found).numpy()


def _some(pictures: Pictures) -> Pictures:
    if len(pictures.labels) <= MOST:
        return pictures
    rows = np.sort(np.random.default_rng(0).choice(len(pictures.labels), MOST, replace=False))
    images = pictures.images[torch.from_numpy(rows)]
    return Pictures(images, pictures.labels[rows], f"{MOST:,} of {len(pictures.labels):,} {pictures.name}")


def _square(pixels: Tensor, size: int) -> Tensor:
    channels = len(pixels)
    array = pixels.permute(1, 2, 0).numpy()
    image = Image.fromarray(array[..., 0] if channels == 1 else array)
    fitted = np.array(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))
    return torch.from_numpy(fitted.reshape(size, size, channels)).permute(2, 0, 1)
