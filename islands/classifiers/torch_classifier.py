"""A torch module together with its preprocessing."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from islands.classifiers.contract import Prediction
from islands.devices import require
from islands.errors import NetworkError

ACCELERATOR_PIXELS = 1 << 24
View = Literal["whole", "center", "ten-crop", "standard"]
Precision = Literal["float32", "bfloat16", "float16"]


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


class Network(NamedTuple):
    """What a loader finds.

    Attributes:
        module: takes float32 (B, channels, input_size, input_size) and gives logits (B, K).
        classes: the K class names.
        preprocessing: what the module was trained with.
        batch_size: images per forward pass that suit CPUs.
    """

    module: nn.Module
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    batch_size: int = 16


class TorchClassifier:
    """Implements `islands.classifiers.contract.Classifier` for a module that gives logits.

    Images pass in chunks of `batch_size`, channels last (LeNet on one CPU thread: 23,000 images/s, against
    9,000 with contiguous channels), in `precision`; softmax is always taken in float32.

    Measured on one core of an AMD EPYC and left out: `torch.compile` (LeNet 1.2 times as fast, with the same
    bits, but it needs a C++ compiler wherever a worker runs, and took minutes over EfficientNet-Lite0);
    `torch.jit.freeze` (LeNet as fast, EfficientNet-Lite0 at three quarters of its speed); folding batch norms
    into convolutions (within the noise). Chunks of 32 to 200 images suit LeNet equally. CUDA graphs have not
    been tried.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        classes: tuple[str, ...],
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        device: torch.device,
        precision: Precision = "float32",
    ) -> None:
        self.name = name
        self.classes = classes
        self.device = device
        self._preprocessing = preprocessing
        self.batch_size = batch_size
        self._dtype: torch.dtype = getattr(torch, precision)
        shape = (1, -1, 1, 1)
        self._mean = torch.tensor(preprocessing.mean, device=device).view(shape)
        self._std = torch.tensor(preprocessing.std, device=device).view(shape)
        module = module.eval().to(torch.float32)
        # TorchScript refuses `module.requires_grad_`.
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        self.fingerprint = fingerprint_of(module, preprocessing, precision)
        self._module = module.to(device, self._dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def module(self) -> nn.Module:
        """The bare network, on its device and in its precision."""
        module: nn.Module = self._module
        return module

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

    @property
    def mean(self) -> tuple[float, ...]:
        """What is subtracted from pixels in [0, 1]."""
        return self._preprocessing.mean

    def logits(self, pixels: Tensor) -> Tensor:
        """Return logits on autograd's tape; see `Differentiable.logits`."""
        whole = self._preprocessing.view != "ten-crop"
        logits = self._logits(self._shown(pixels)) if whole else _log(self._mean_of_crops(pixels))
        if pixels.requires_grad and not logits.requires_grad:
            raise NetworkError(
                f"{self.name} gave logits without a gradient; expected one: compute them without no_grad and "
                "detach"
            )
        return logits

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        self._require_images(images)
        images = images.to(self.device)
        parts = [self._predict_chunk(chunk) for chunk in images.split(self.batch_size)]
        prediction = Prediction(*(torch.cat(part) for part in zip(*parts, strict=True)))
        # A NaN or an infinity in any logit makes the sum not finite.
        require(
            prediction.logits.sum().isfinite(),
            NetworkError(
                f"{self.name} gave logits that are not finite; expected finite numbers: check its weights, "
                "and in float16 use bfloat16 or float32"
            ),
        )
        return prediction

    def _predict_chunk(self, images: Tensor) -> Prediction:
        pixels = images.to(torch.float32).div_(255)
        if self._preprocessing.view != "ten-crop":
            logits = self._logits(self._shown(pixels))
            return Prediction(logits.softmax(1), logits)
        probabilities = self._mean_of_crops(pixels)
        return Prediction(probabilities, _log(probabilities))

    def _mean_of_crops(self, pixels: Tensor) -> Tensor:
        crops = self._ten_crops(pixels)
        return torch.stack([self._logits(crop).softmax(1) for crop in crops]).mean(0)

    def _logits(self, pixels: Tensor) -> Tensor:
        standard = ((pixels - self._mean) / self._std).to(self._dtype)
        logits = self._module(standard.contiguous(memory_format=torch.channels_last))
        if not isinstance(logits, Tensor) or not logits.is_floating_point():
            got = logits.dtype if isinstance(logits, Tensor) else type(logits).__name__
            raise NetworkError(
                f"{self.name} gave outputs of type {str(got).removeprefix('torch.')}; expected a tensor of "
                "floats: return logits before argmax, and without a tuple around them"
            )
        expected = (len(pixels), len(self.classes))
        if logits.shape != expected:
            raise NetworkError(
                f"{self.name} gave outputs of shape {tuple(logits.shape)}; expected "
                f"{expected}, one for each class: give as many class names as outputs"
            )
        return logits.to(torch.float32)

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
        mode = self._preprocessing.interpolation
        resized = interpolate(pixels, size=(height, width), mode=mode, antialias=True)
        # Bicubic interpolation overshoots.
        return resized.clamp(0, 1)

    def _ten_crops(self, pixels: Tensor) -> list[Tensor]:
        """Return the four corners and the centre, each with its mirror image (paper section 2.1)."""
        size = self._preprocessing.input_size
        height, width = pixels.shape[2] - size, pixels.shape[3] - size
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


def build_classifier(
    name: str,
    network: Network,
    *,
    view: View,
    batch_size: int | None,
    precision: Precision,
    device: torch.device,
) -> TorchClassifier:
    """Return the classifier of a loaded network; None: the batch size that suits the network."""
    return TorchClassifier(
        name,
        network.module,
        network.classes,
        replace(network.preprocessing, view=view),
        batch_size=batch_size or suitable_batch_size(network, device),
        device=device,
        precision=precision,
    )


def suitable_batch_size(network: Network, device: torch.device) -> int:
    """Return the images per forward pass that suit a network on a kind of device.

    Accelerators need many to be busy: a power of two that gives them about 16 million pixels (256 images of
    224 x 224), at most 4096. What is free of their memory has no say, for float sums depend on the number. It
    is an estimate, not measured yet; `islands bench --set network.batch_size=…` compares.
    """
    if device.type == "cpu":
        return network.batch_size
    images = max(1, ACCELERATOR_PIXELS // network.preprocessing.input_size**2)
    return min(4096, 1 << images.bit_length() - 1)


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp_min(torch.finfo(torch.float32).tiny).log()


def fingerprint_of(module: nn.Module, preprocessing: Preprocessing, precision: Precision) -> str:
    """Return what `Classifier.fingerprint` is of a float32 module."""
    sha = hashlib.sha256(f"{sorted(asdict(preprocessing).items())} {precision}".encode())
    for name, tensor in sorted(module.state_dict().items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()
