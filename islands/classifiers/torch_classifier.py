"""A torch module together with its preprocessing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from islands.classifiers.contract import Prediction
from islands.classifiers.engines import TORCH, Engine, EngineName, disagreement, probes
from islands.classifiers.finite import require_finite
from islands.classifiers.foreign import told
from islands.classifiers.openvino_engine import CompiledNetwork, UnfitError, openvino_version, traced
from islands.devices import require
from islands.errors import NetworkError

ACCELERATOR_PIXELS = 1 << 24
View = Literal["whole", "center", "ten-crop", "standard"]
Precision = Literal["float32", "bfloat16", "float16"]
Forward = Callable[[Tensor], Any]
"""From images (B, C, H, W), uint8 or float32 in [0, 1], to outputs (B, …)."""
Outputs = Literal["logits", "softmax", "probabilities", "sigmoid", "logit"]
NotFinite = Literal["error", "skip"]
_FEWER = 4
"""By this much smaller are the batches that suit OpenVINO. On one core of an AMD EPYC, EfficientNet-Lite0,
MobileNetV2, AlexNet and ResNet-50 are as quick with 4 images as with 16, and LeNet with 64 as with 256; less
is wasted where a batch is filled up, see `islands.classifiers.screened`."""
_AGREEMENT = 1e-3
"""Relative difference of outputs up to which two memory formats agree."""


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
    9,000 with contiguous channels) where the module takes them so and agrees with itself, in `precision`;
    softmax is always taken in float32.

    `engine` says what runs the forward pass: torch the module itself, OpenVINO what it translates the module
    into; auto OpenVINO, on a CPU where it can and agrees with the module on `engines.probes`, else torch.
    `self.engine` is what came of it. Gradients are the module's always.

    `outputs` says what the module gives in place of logits, see `islands.config.NetworkConfig.outputs`; None:
    logits, and what looks like something else is refused. `not_finite` says whether an image without finite
    scores is an error or is marked as skipped, see `Prediction`.

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
        engine: EngineName = "auto",
        outputs: Outputs | None = None,
        not_finite: NotFinite = "error",
    ) -> None:
        self.name = name
        self.classes = _class_names(name, classes, outputs)
        self.device = device
        self._outputs = outputs or "logits"
        self._not_finite = not_finite
        # bfloat16 has 8 significant bits: sums of probabilities are off by more.
        self._tolerance = 1e-3 if precision == "float32" else 2e-2
        self._preprocessing = preprocessing
        self.batch_size = batch_size
        self._dtype = torch.float32
        shape = (1, -1, 1, 1)
        self._mean = torch.tensor(preprocessing.mean, device=device).view(shape)
        self._std = torch.tensor(preprocessing.std, device=device).view(shape)
        module = module.eval().to(torch.float32)
        # TorchScript refuses `module.requires_grad_`.
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        # Before anything is moved or cast: it is the same on every device, and names the precision.
        self.fingerprint = fingerprint_of(module, preprocessing, precision, self._outputs)
        self._module = module.to(device)
        self._memory_format = torch.contiguous_format
        seen = self._probe()
        asked = outputs not in (None, "logit")
        self._look_like = None if asked or seen is None else _kind_of(seen)
        self._lay_out(seen)
        self._compiled, self.engine = self._choose(engine, precision)
        if self._compiled is None:
            # Last: memory formats are compared in float32, where a difference is no rounding.
            self._dtype = getattr(torch, precision)
            self._module.to(self._dtype)

    @property
    def module(self) -> nn.Module:
        """The bare network, on its device; in its precision where torch runs it, else in float32."""
        module: nn.Module = self._module
        return module

    def bare(self, images: Tensor) -> Callable[[], object]:
        """Return what does the forward passes of images, and nothing else.

        Args:
            images: uint8 (B, channels, input_size, input_size), on the classifier's device.
        """
        if self._compiled is not None:
            compiled, chunks = self._compiled, images.split(self.batch_size)
            return lambda: [compiled(chunk) for chunk in chunks]
        ready = [self._ready(chunk) for chunk in images.split(self.batch_size)]
        return lambda: [self._module(chunk) for chunk in ready]

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
        self._require_logits()
        if self._preprocessing.view == "ten-crop":
            logits = _log(self._mean_of_crops(pixels, self._run_module))
        else:
            logits = self._logits(self._shown(pixels), self._run_module)
        if pixels.requires_grad and not logits.requires_grad:
            raise NetworkError(
                f"{self.name} gave logits without a gradient; expected one: compute them without no_grad and "
                "detach"
            )
        return logits

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        self._require_logits()
        self._require_images(images)
        images = images.to(self.device)
        parts = [self._predict_chunk(chunk) for chunk in images.split(self.batch_size)]
        prediction = Prediction(*(torch.cat(part) for part in zip(*parts, strict=True)))
        finite = prediction.finite
        if self._not_finite == "skip":
            return prediction.only(finite)
        require_finite(self.name, images, finite)
        return prediction

    def _predict_chunk(self, images: Tensor) -> Prediction:
        forward = self._run_module if self._compiled is None else self._run_compiled
        if self._preprocessing.view != "ten-crop":
            logits = self._logits(self._shown(images), forward)
            return Prediction(logits.softmax(1), logits)
        probabilities = self._mean_of_crops(images, forward)
        return Prediction(probabilities, _log(probabilities))

    def _mean_of_crops(self, pixels: Tensor, forward: Forward) -> Tensor:
        crops = self._ten_crops(pixels)
        # The mean of probabilities and not of logits, as in the released code.
        return torch.stack([self._logits(crop, forward).softmax(1) for crop in crops]).mean(0)

    def _run_module(self, pixels: Tensor) -> Any:
        return _logits_in(self._module(self._ready(pixels)))

    def _ready(self, pixels: Tensor) -> Tensor:
        """Return pixels as the module takes them."""
        standard = ((_as_floats(pixels) - self._mean) / self._std).to(self._dtype)
        return standard.contiguous(memory_format=self._memory_format)

    def _run_compiled(self, pixels: Tensor) -> Tensor:
        assert self._compiled is not None
        try:
            return self._compiled(pixels)
        except UnfitError as error:
            raise NetworkError(f"{self.name}: {error}; set network.engine to torch") from None

    def _choose(self, asked: EngineName, precision: Precision) -> tuple[CompiledNetwork | None, Engine]:
        """Return the engine, and what OpenVINO compiled where that is it; the module is in float32 still.

        Raises:
            NetworkError: OpenVINO is asked for and cannot run it.
        """
        if asked == "torch":
            return None, Engine(TORCH, "network.engine names it")
        try:
            if self.device.type != "cpu":
                raise UnfitError(f"OpenVINO runs networks on CPUs, and this one is on {self.device}")
            version = openvino_version()
            compiled = self._translated(precision)
            apart, allowed = self._compare(compiled, getattr(torch, precision))
        except UnfitError as error:
            if asked == "openvino":
                raise NetworkError(
                    f"network.engine: got openvino for {self.name}, but {error}; expected auto or torch"
                ) from None
            return None, Engine(TORCH, str(error))
        return compiled, Engine(
            f"OpenVINO {version}",
            f"its log-odds are within {apart:.1g} of the module's, where {allowed:.1g} is allowed",
        )

    def _translated(self, precision: Precision) -> CompiledNetwork:
        preprocessing = self._preprocessing
        program = traced(_Bare(self._module), preprocessing.channels, preprocessing.input_size)
        return CompiledNetwork(
            program, preprocessing.mean, preprocessing.std, preprocessing.channels, precision
        )

    def _compare(self, compiled: CompiledNetwork, precision: torch.dtype) -> tuple[float, float]:
        """Return by how much log-odds differ from the module's, and by how much they may.

        Raises:
            UnfitError: it is more, or the module has no scores.
        """
        pictures = probes(self.channels, self.input_size)
        try:
            with torch.inference_mode():
                expected = self._logits(pictures, self._run_module)
                found = [self._logits(chunk, compiled) for chunk in pictures.split(self.batch_size)]
        except NetworkError as error:
            raise UnfitError(f"the outputs do not fit ({error})") from None
        apart, allowed = disagreement(torch.cat(found), expected, precision)
        if apart > allowed:
            raise UnfitError(
                f"its log-odds are off by {apart:.2g} from the module's, where {allowed:.2g} is allowed"
            )
        return apart, allowed

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
        return _log(torch.stack([1 - outputs, outputs], 1))

    def _of_all_outputs(self, outputs: Tensor) -> Tensor:
        """Return logits (B, K) of outputs (B, K)."""
        if self._outputs == "logits":
            return outputs
        self._require_in_range(outputs)
        total = outputs.sum(1, keepdim=True)
        if self._outputs == "sigmoid":
            # What no output claims is spread evenly: scaling up would make a little of one class certain.
            unclaimed = (1 - total).clamp_min(0) / len(self.classes)
            return _log((outputs + unclaimed) / total.clamp_min(1))
        require(
            ~((total - 1).abs() > self._tolerance).any(),
            NetworkError(
                f"{self.name} gave outputs that do not sum to 1, and network.outputs is {self._outputs}; "
                "expected probabilities: set network.outputs to logits or sigmoid, whichever they are"
            ),
        )
        return _log(outputs)

    def _require_in_range(self, outputs: Tensor) -> None:
        # A NaN is told elsewhere.
        require(
            ~((outputs < 0) | (outputs > 1 + self._tolerance)).any(),
            NetworkError(
                f"{self.name} gave outputs outside of [0, 1], and network.outputs is {self._outputs}; "
                "expected probabilities: set network.outputs to logits or logit, whichever they are"
            ),
        )

    def _probe(self) -> Tensor | None:
        """Return outputs (4, …) of noise, of a drawn picture, and of both far beyond any picture.

        None where the module does not give a tensor for them: `predict` tells why when it is asked.
        """
        size, generator = self.input_size, torch.Generator().manual_seed(0)
        noise = torch.rand((self.channels, size, size), generator=generator)
        drawn = torch.linspace(0, 1, size).expand(self.channels, size, size)
        pixels = torch.stack([noise, drawn, 1e3 * (noise - 0.5), 1e3 * (0.5 - drawn)]).to(self.device)
        try:
            with torch.no_grad():
                outputs = self._run_module(pixels)
        except Exception:
            return None
        usable = isinstance(outputs, Tensor) and outputs.is_floating_point() and outputs.shape[:1] == (4,)
        return outputs if usable else None

    def _lay_out(self, contiguous: Tensor | None) -> None:
        """Put channels last, unless the module fails so or gives others than its `contiguous` outputs."""
        if contiguous is None:
            return
        self._memory_format = torch.channels_last
        try:
            self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            last = self._probe()
        except RuntimeError:  # weights of five dimensions
            last = None
        if last is None or not _agree(last[:2], contiguous[:2]):
            self._memory_format = torch.contiguous_format
            self._module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

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
        mode = self._preprocessing.interpolation
        resized = interpolate(_as_floats(pixels), size=(height, width), mode=mode, antialias=True)
        # Bicubic interpolation overshoots.
        return resized.clamp(0, 1)

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


def build_classifier(
    name: str,
    network: Network,
    *,
    view: View,
    batch_size: int | None,
    precision: Precision,
    engine: EngineName,
    device: torch.device,
    outputs: Outputs | None = None,
    not_finite: NotFinite = "error",
) -> TorchClassifier:
    """Return the classifier of a loaded network; None: the batch size that suits network and engine.

    Raises:
        NetworkError: it cannot be brought to the device, or the engine cannot run it.
    """
    with told(f"{name}: taking it to {device} failed with", "expected a module of plain parameters"):
        classifier = TorchClassifier(
            name,
            network.module,
            network.classes,
            replace(network.preprocessing, view=view),
            batch_size=batch_size or suitable_batch_size(network, device),
            device=device,
            precision=precision,
            engine=engine,
            outputs=outputs,
            not_finite=not_finite,
        )
    if batch_size is None and classifier.engine.name != TORCH:
        classifier.batch_size = max(1, network.batch_size // _FEWER)
    return classifier


def suitable_batch_size(network: Network, device: torch.device) -> int:
    """Return the images per forward pass that suit a network that torch runs on a kind of device.

    Accelerators need many to be busy: a power of two that gives them about 16 million pixels (256 images of
    224 x 224), at most 4096. What is free of their memory has no say, for float sums depend on the number. It
    is an estimate, not measured yet; `islands bench --set network.batch_size=…` compares.
    """
    if device.type == "cpu":
        return network.batch_size
    images = max(1, ACCELERATOR_PIXELS // network.preprocessing.input_size**2)
    return min(4096, 1 << images.bit_length() - 1)


def _log(probabilities: Tensor) -> Tensor:
    # The logarithm of 0 would count as a score that is not finite.
    return probabilities.clamp_min(torch.finfo(torch.float32).tiny).log()


def fingerprint_of(
    module: nn.Module, preprocessing: Preprocessing, precision: Precision, outputs: Outputs = "logits"
) -> str:
    """Return what `Classifier.fingerprint` is of a float32 module.

    Of extra state that is no tensor, what can be told in JSON counts.
    """
    read_as = "" if outputs == "logits" else f" {outputs}"
    sha = hashlib.sha256(f"{sorted(asdict(preprocessing).items())} {precision}{read_as}".encode())
    for name, value in sorted(module.state_dict().items()):
        if isinstance(value, Tensor):
            sha.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            sha.update(value.detach().cpu().contiguous().numpy().tobytes())
        else:
            sha.update(
                f"{name} {json.dumps(value, skipkeys=True, sort_keys=True, default=lambda _: None)}".encode()
            )
    return sha.hexdigest()


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


class _Bare(nn.Module):
    """Gives the logits of a module, whatever it puts around them."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, pixels: Tensor) -> Any:
        return _logits_in(self.module(pixels))


def _as_floats(pixels: Tensor) -> Tensor:
    """Return pixels in [0, 1] of bytes; floats are such already."""
    # In place: the conversion from bytes has made a copy.
    return pixels.to(torch.float32).div_(255) if pixels.dtype == torch.uint8 else pixels


def _logits_in(outputs: Any) -> Any:
    """Return `logits` of a mapping, or of an object, that has them; other outputs as they are."""
    if isinstance(outputs, Mapping):
        return outputs.get("logits", outputs)
    return getattr(outputs, "logits", outputs)


def _kind_of(outputs: Tensor) -> Literal["softmax", "sigmoid"] | None:
    """Return what has bounded outputs (4, …) to [0, 1], whatever went in; None where nothing has."""
    outputs = outputs.float().reshape(len(outputs), -1)
    bounded = bool(((outputs >= 0) & (outputs <= 1)).all())
    if not bounded or bool((outputs == outputs[0]).all()):  # an untrained last layer may give zeros
        return None
    return "softmax" if bool(((outputs.sum(1) - 1).abs() < _AGREEMENT).all()) else "sigmoid"


def _agree(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    found, expected = found.float().nan_to_num(), expected.float().nan_to_num()
    scale = expected.abs().amax()
    return bool((found - expected).abs().amax() <= _AGREEMENT * scale)
