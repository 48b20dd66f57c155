"""A network together with its preprocessing, whatever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from islands.classifiers.contract import Prediction
from islands.classifiers.engines import Engine
from islands.classifiers.finite import require_finite
from islands.devices import host_waits, require
from islands.errors import NetworkError

View = Literal["whole", "center", "ten-crop", "standard"]
Precision = Literal["float32", "bfloat16", "float16"]
Forward = Callable[[Tensor], Any]
"""From images (B, C, H, W), uint8 or float32 in [0, 1], to outputs (B, …)."""
Outputs = Literal["logits", "softmax", "probabilities", "sigmoid", "logit"]
NotFinite = Literal["error", "skip"]
_BOUNDED = 1e-3
"""By how much sums of probabilities may differ from 1."""


@dataclass(frozen=True)
class Preprocessing:
    """How a network sees an image.

    Attributes:
        channels: 1 for grey images, 3 for RGB.
        input_size: height and width in pixels.
        mean: subtracted from pixels in [0, 1]; one number for all channels, or one for each.
        std: what they are divided by then, likewise.
        resize: for the view `standard`, what the shorter side becomes before the centre is cut out.
        interpolation: how images are resized.
        view: how a larger image is shown; see `islands.config.NetworkConfig.view`.
    """

    channels: int
    input_size: int
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: int | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    view: View = "whole"


class NetworkClassifier(ABC):
    """Implements `islands.classifiers.contract.Classifier` for what gives logits of images of one size.

    Images pass in chunks of `batch_size`, in `precision`; softmax is always taken in float32.

    `outputs` says what the network gives in place of logits, see `islands.config.NetworkConfig.outputs`;
    None: logits, and what looks like something else is refused. `not_finite` says whether an image without
    finite scores is an error or is marked as skipped, see `Prediction`.
    """

    engine: Engine
    fingerprint: str

    def __init__(
        self,
        name: str,
        classes: tuple[str, ...],
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        device: torch.device,
        precision: Precision,
        outputs: Outputs | None,
        not_finite: NotFinite,
    ) -> None:
        self.name = name
        self.classes = _class_names(name, classes, outputs)
        self.device = device
        self._asked = outputs
        self._outputs = outputs or "logits"
        self._not_finite = not_finite
        # bfloat16 has 8 significant bits: sums of probabilities are off by more.
        self._tolerance = 1e-3 if precision == "float32" else 2e-2
        self._preprocessing = preprocessing
        self.batch_size = batch_size
        shape = (1, -1, 1, 1)
        self._mean = torch.tensor(preprocessing.mean, device=device).view(shape)
        self._std = torch.tensor(preprocessing.std, device=device).view(shape)
        self._look_like: Literal["softmax", "sigmoid"] | None = None
        self._matrices: dict[tuple[int, int], Tensor] = {}

    @abstractmethod
    def _forward(self, pixels: Tensor) -> Any:
        """Return outputs (B, …) of images (B, C, input_size, input_size), uint8 or float32 in [0, 1]."""

    @abstractmethod
    def bare(self, images: Tensor) -> Callable[[], object]:
        """Return what does the forward passes of images, and nothing else.

        Args:
            images: uint8 (B, channels, input_size, input_size), on the classifier's device.
        """

    def _look_at(self, outputs: Tensor | None) -> None:
        """Take note of what `_probe` shows the outputs to be."""
        asked = self._asked not in (None, "logit")
        self._look_like = None if asked or outputs is None else _kind_of(outputs)

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for RGB."""
        return self._preprocessing.channels

    @property
    def input_size(self) -> int:
        """Height and width that the network looks at, in pixels."""
        return self._preprocessing.input_size

    @property
    def input_range(self) -> tuple[float, float]:
        """What the network is fed for black and for white, of the channel where they are closest."""
        low, high = (-self._mean / self._std).flatten(), ((1 - self._mean) / self._std).flatten()
        closest = int((high - low).argmin())
        return low[closest].item(), high[closest].item()

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        self._require_logits()
        self._require_images(images)
        images = images.to(self.device)
        parts = [self._predict_chunk(chunk) for chunk in images.split(self._chunk_size)]
        prediction = Prediction(*(torch.cat(part) for part in zip(*parts, strict=True)))
        finite = prediction.finite
        if self._not_finite == "skip":
            return prediction.only(finite)
        require_finite(self.name, images, finite)
        return prediction

    @property
    def _chunk_size(self) -> int:
        """Images that `_forward` is given at a time, at most; of crops, more where they pay."""
        return self.batch_size

    def _predict_chunk(self, images: Tensor) -> Prediction:
        if self._preprocessing.view != "ten-crop":
            logits = self._logits(self._shown(images), self._forward)
            return Prediction(logits.softmax(1), logits)
        probabilities = self._mean_of_crops(images, self._forward)
        return Prediction(probabilities, log_of(probabilities))

    def _mean_of_crops(self, pixels: Tensor, forward: Forward) -> Tensor:
        crops = self._ten_crops(pixels)
        if host_waits(pixels.device):
            # In full batches, which keep an accelerator busy: 400 images are 4000 crops.
            parts = torch.cat(crops).split(self.batch_size)
            probabilities = torch.cat([self._logits(part, forward).softmax(1) for part in parts])
            return probabilities.view(len(crops), len(pixels), -1).mean(0)
        # The mean of probabilities and not of logits, as in the released code.
        return torch.stack([self._logits(crop, forward).softmax(1) for crop in crops]).mean(0)

    def _logits(self, pixels: Tensor, forward: Forward) -> Tensor:
        outputs = forward(pixels)
        if not isinstance(outputs, Tensor) or not outputs.is_floating_point():
            got = outputs.dtype if isinstance(outputs, Tensor) else type(outputs).__name__
            among = f" with {', '.join(map(str, outputs))}" if isinstance(outputs, Mapping) else ""
            raise NetworkError(
                f"{self.name} gave outputs of type {str(got).removeprefix('torch.')}{among}; expected a "
                "tensor of floats: return logits before argmax, and without a tuple around them, or as "
                "`logits`"
            )
        n, k = len(pixels), len(self.classes)
        if k == 2 and self._outputs in ("logit", "sigmoid") and outputs.shape in ((n,), (n, 1)):
            return self._of_one_output(outputs.to(torch.float32).reshape(n))
        if outputs.shape != (n, k) or self._outputs == "logit":
            expected = (n, 1) if self._outputs == "logit" else (n, k)
            one = ", or set network.outputs to logit where there is one for two classes"
            raise NetworkError(
                f"{self.name} gave outputs of shape {tuple(outputs.shape)}; expected "
                f"{expected}, one for each {'image' if self._outputs == 'logit' else 'class'}: give as many "
                f"class names as outputs{one if outputs.shape in ((n,), (n, 1)) else ''}"
            )
        return self._of_all_outputs(outputs.to(torch.float32))

    def _of_one_output(self, outputs: Tensor) -> Tensor:
        """Return logits (B, 2) of what a network of two classes says of the second."""
        if self._outputs == "logit":
            return torch.stack([torch.zeros_like(outputs), outputs], 1)
        self._require_in_range(outputs[:, None])
        return log_of(torch.stack([1 - outputs, outputs], 1))

    def _of_all_outputs(self, outputs: Tensor) -> Tensor:
        """Return logits (B, K) of outputs (B, K)."""
        if self._outputs == "logits":
            return outputs
        self._require_in_range(outputs)
        total = outputs.sum(1, keepdim=True)
        if self._outputs == "sigmoid":
            # What no output claims is spread evenly: scaling up would make a little of one class certain.
            unclaimed = (1 - total).clamp_min(0) / len(self.classes)
            return log_of((outputs + unclaimed) / total.clamp_min(1))
        require(
            ~((total - 1).abs() > self._tolerance).any(),
            NetworkError(
                f"{self.name} gave outputs that do not sum to 1, and network.outputs is {self._outputs}; "
                "expected probabilities: set network.outputs to logits or sigmoid, whichever they are"
            ),
        )
        return log_of(outputs)

    def _require_in_range(self, outputs: Tensor) -> None:
        # A NaN is told elsewhere.
        require(
            ~((outputs < 0) | (outputs > 1 + self._tolerance)).any(),
            NetworkError(
                f"{self.name} gave outputs outside of [0, 1], and network.outputs is {self._outputs}; "
                "expected probabilities: set network.outputs to logits or logit, whichever they are"
            ),
        )

    def _probe(self, forward: Forward) -> Tensor | None:
        """Return outputs (4, …) of noise, of a drawn picture, and of both far beyond any picture.

        None where the network gives no tensor for them: `predict` tells why when it is asked.
        """
        size, generator = self.input_size, torch.Generator().manual_seed(0)
        noise = torch.rand((self.channels, size, size), generator=generator)
        drawn = torch.linspace(0, 1, size).expand(self.channels, size, size)
        pixels = torch.stack([noise, drawn, 1e3 * (noise - 0.5), 1e3 * (0.5 - drawn)]).to(self.device)
        try:
            with torch.no_grad():
                outputs = forward(pixels)
        except Exception:
            return None
        usable = isinstance(outputs, Tensor) and outputs.is_floating_point() and outputs.shape[:1] == (4,)
        return outputs if usable else None

    def _require_logits(self) -> None:
        if self._look_like is not None:
            raise NetworkError(
                f"{self.name}: got outputs that look like those of a {self._look_like}, all in [0, 1] "
                f"whatever it sees, in place of logits; leave the {self._look_like} out, or set "
                f"network.outputs to {self._look_like} (or to logits, if they are logits after all)"
            )

    def _shown(self, pixels: Tensor) -> Tensor:
        size = self._preprocessing.input_size
        if pixels.shape[2:] == (size, size):
            return pixels
        if self._preprocessing.view == "whole":
            return self._resized(pixels, size, size)
        if self._preprocessing.view == "standard":
            height, width = pixels.shape[2:]
            shorter = self._preprocessing.resize or size
            scale = shorter / min(height, width)
            pixels = self._resized(pixels, int(height * scale), int(width * scale))
        top, left = (pixels.shape[2] - size) // 2, (pixels.shape[3] - size) // 2
        return pixels[:, :, top : top + size, left : left + size]

    def _resized(self, pixels: Tensor, height: int, width: int) -> Tensor:
        if host_waits(pixels.device):
            # Products of matrices in place of a kernel that is slow on GPUs, with a gradient that comes out
            # otherwise each time.
            rows, columns = (
                self._matrix(old, new) for old, new in zip(pixels.shape[2:], (height, width), strict=True)
            )
            resized = rows @ as_floats(pixels) @ columns.T
        else:
            mode = self._preprocessing.interpolation
            resized = interpolate(as_floats(pixels), size=(height, width), mode=mode, antialias=True)
        # Bicubic interpolation overshoots.
        return resized.clamp(0, 1)

    def _matrix(self, old: int, new: int) -> Tensor:
        """Return what resizes a column of `old` pixels to `new`, float32 (new, old), on the device."""
        if (old, new) not in self._matrices:
            # Not in inference mode, whoever asks first: gradients may pass through it later.
            with torch.inference_mode(False), torch.no_grad():
                unit, mode = torch.eye(old)[None, None], self._preprocessing.interpolation
                resized = interpolate(unit, size=(new, old), mode=mode, antialias=True)
                self._matrices[old, new] = resized[0, 0].to(self.device)
        return self._matrices[old, new]

    def _ten_crops(self, pixels: Tensor) -> list[Tensor]:
        """Return the four corners and the centre, each with its mirror image (paper section 2.1)."""
        size = self._preprocessing.input_size
        height, width = pixels.shape[2] - size, pixels.shape[3] - size
        # Of 256 pixels and crops of 227 the centre is at 14, as in the released code.
        corners = [(0, 0), (0, width), (height, 0), (height, width), (height // 2, width // 2)]
        crops = [pixels[:, :, top : top + size, left : left + size] for top, left in corners]
        return crops + [crop.flip(3) for crop in crops]

    def _require_images(self, images: Tensor) -> None:
        size = self._preprocessing.input_size
        expected = f"uint8 (B, {self.channels}, H, W)"
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != self.channels:
            raise NetworkError(
                f"{self.name}: got images {str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}; "
                f"expected {expected}"
            )
        if len(images) == 0:
            raise NetworkError(f"{self.name}: got no image; expected {expected} with B of at least 1")
        if self._preprocessing.view in ("center", "ten-crop") and min(images.shape[2:]) < size:
            raise NetworkError(
                f"{self.name}: got images of {images.shape[2]} x {images.shape[3]} pixels; the view "
                f"{self._preprocessing.view!r} expects at least {size} x {size}: raise encoding.size, or set "
                "network.view to whole"
            )


def log_of(probabilities: Tensor) -> Tensor:
    """Return logarithms that are finite."""
    # The logarithm of 0 would count as a score that is not finite.
    return probabilities.clamp_min(torch.finfo(torch.float32).tiny).log()


def as_floats(pixels: Tensor) -> Tensor:
    """Return pixels in [0, 1] of bytes; floats are such already."""
    # In place: the conversion from bytes has made a copy.
    return pixels.to(torch.float32).div_(255) if pixels.dtype == torch.uint8 else pixels


def _class_names(name: str, classes: tuple[str, ...], outputs: Outputs | None) -> tuple[str, ...]:
    """Return the names of all classes; one name is that of the second of two, where one output tells them."""
    if len(classes) == 1 and outputs in ("logit", "sigmoid"):
        return (f"not {classes[0]}", classes[0])
    if outputs == "logit" and len(classes) != 2:
        raise NetworkError(
            f"{name}: got {len(classes)} classes, and network.outputs is logit; expected the name of what "
            "the one output says yes to, or two names, no first"
        )
    if len(classes) == 1:
        raise NetworkError(
            f"{name}: got one class, of which softmax would be 100 % sure whatever it sees; expected two or "
            "more: set network.outputs to logit where its one output says yes or no, or to sigmoid where "
            "that has passed one"
        )
    return classes


def _kind_of(outputs: Tensor) -> Literal["softmax", "sigmoid"] | None:
    """Return what has bounded outputs (4, …) to [0, 1], whatever went in; None where nothing has."""
    outputs = outputs.float().reshape(len(outputs), -1)
    bounded = bool(((outputs >= 0) & (outputs <= 1)).all())
    if not bounded or bool((outputs == outputs[0]).all()):  # an untrained last layer may give zeros
        return None
    return "softmax" if bool(((outputs.sum(1) - 1).abs() < _BOUNDED).all()) else "sigmoid"
