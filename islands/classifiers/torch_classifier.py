"""A torch module together with its preprocessing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from islands.classifiers.engines import TORCH, Engine, EngineName, disagreement, probes
from islands.classifiers.network_classifier import (
    NetworkClassifier,
    NotFinite,
    Outputs,
    Precision,
    Preprocessing,
    View,
    as_floats,
    log_of,
)
from islands.classifiers.openvino_engine import CompiledNetwork, UnfitError, openvino_version, traced
from islands.errors import NetworkError
from islands.extensions.foreign import told

ACCELERATOR_PIXELS = 1 << 24
_FEWER = 4
"""By this much smaller are the batches that suit OpenVINO. On one core of an AMD EPYC, EfficientNet-Lite0,
MobileNetV2, AlexNet and ResNet-50 are as quick with 4 images as with 16, and LeNet with 64 as with 256; less
is wasted where a batch is filled up, see `islands.classifiers.screened`."""
_AGREEMENT = 1e-3
"""Relative difference of outputs up to which two memory formats agree."""


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


class TorchClassifier(NetworkClassifier):
    """A module that gives logits.

    torch runs it with channels last (LeNet on one CPU thread: 23,000 images/s, against 9,000 with contiguous
    channels) where the module takes them so and agrees with itself.

    `engine` says what runs the forward pass: torch the module itself, OpenVINO what it translates the module
    into; auto OpenVINO, on a CPU where it can and agrees with the module on `engines.probes`, else torch.
    `self.engine` is what came of it. Gradients are the module's always.

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
        super().__init__(
            name,
            classes,
            preprocessing,
            batch_size=batch_size,
            device=device,
            precision=precision,
            outputs=outputs,
            not_finite=not_finite,
        )
        self._dtype = torch.float32
        module = module.eval().to(torch.float32)
        # TorchScript refuses `module.requires_grad_`.
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        # Before anything is moved or cast: it is the same on every device, and names the precision.
        self.fingerprint = fingerprint_of(module, preprocessing, precision, self._outputs)
        self._module = module.to(device)
        self._memory_format = torch.contiguous_format
        seen = self._probe(self._run_module)
        self._look_at(seen)
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
        """See `NetworkClassifier.bare`."""
        if self._compiled is not None:
            compiled, chunks = self._compiled, images.split(self.batch_size)
            return lambda: [compiled(chunk) for chunk in chunks]
        ready = [self._ready(chunk) for chunk in images.split(self.batch_size)]
        return lambda: [self._module(chunk) for chunk in ready]

    @property
    def mean(self) -> tuple[float, ...]:
        """What is subtracted from pixels in [0, 1]."""
        return self._preprocessing.mean

    def logits(self, pixels: Tensor) -> Tensor:
        """Return logits on autograd's tape; see `Differentiable.logits`."""
        self._require_logits()
        if self._preprocessing.view == "ten-crop":
            logits = log_of(self._mean_of_crops(pixels, self._run_module))
        else:
            logits = self._logits(self._shown(pixels), self._run_module)
        if pixels.requires_grad and not logits.requires_grad:
            raise NetworkError(
                f"{self.name} gave logits without a gradient; expected one: compute them without no_grad and "
                "detach"
            )
        return logits

    def _forward(self, pixels: Tensor) -> Any:
        if self._compiled is None:
            return self._run_module(pixels)
        try:
            return self._compiled(pixels)
        except UnfitError as error:
            raise NetworkError(f"{self.name}: {error}; set network.engine to torch") from None

    def _run_module(self, pixels: Tensor) -> Any:
        return _logits_in(self._module(self._ready(pixels)))

    def _ready(self, pixels: Tensor) -> Tensor:
        """Return pixels as the module takes them."""
        standard = ((as_floats(pixels) - self._mean) / self._std).to(self._dtype)
        return standard.contiguous(memory_format=self._memory_format)

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

    def _lay_out(self, contiguous: Tensor | None) -> None:
        """Put channels last, unless the module fails so or gives others than its `contiguous` outputs."""
        if contiguous is None:
            return
        self._memory_format = torch.channels_last
        try:
            self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            last = self._probe(self._run_module)
        except RuntimeError:  # weights of five dimensions
            last = None
        if last is None or not _agree(last[:2], contiguous[:2]):
            self._memory_format = torch.contiguous_format
            self._module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


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
    at_once: int | None = None,
) -> TorchClassifier:
    """Return the classifier of a loaded network; None: the batch size that suits network and engine.

    `at_once` is how many images it will be asked about at a time, see `suitable_batch_size`.

    Raises:
        NetworkError: it cannot be brought to the device, or the engine cannot run it.
    """
    passes = at_once and at_once * (10 if view == "ten-crop" else 1)
    with told(
        f"{name}: taking it to {device} failed with", "expected a module of plain parameters", NetworkError
    ):
        classifier = TorchClassifier(
            name,
            network.module,
            network.classes,
            replace(network.preprocessing, view=view),
            batch_size=batch_size or suitable_batch_size(network, device, passes),
            device=device,
            precision=precision,
            engine=engine,
            outputs=outputs,
            not_finite=not_finite,
        )
    if batch_size is None and classifier.engine.name != TORCH:
        classifier.batch_size = max(1, network.batch_size // _FEWER)
    return classifier


def suitable_batch_size(network: Network, device: torch.device, passes: int | None = None) -> int:
    """Return the images per forward pass that suit a network that torch runs on a kind of device.

    Accelerators need many to be busy: a power of two that gives them about 16 million pixels (256 images of
    224 x 224), at most 4096. Where it is known how many there will be at a time, `passes`, they are shared
    out evenly over as few batches as have at most twice that: 400 images are one batch, not 256 and 144. What
    is free of their memory has no say, for float sums depend on the number. It is an estimate, not measured
    yet; `islands bench --set network.batch_size=…` compares.
    """
    if device.type == "cpu":
        return network.batch_size
    images = max(1, ACCELERATOR_PIXELS // network.preprocessing.input_size**2)
    usual = min(4096, 1 << images.bit_length() - 1)
    return usual if passes is None else -(-passes // -(-passes // (2 * usual)))


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


class _Bare(nn.Module):
    """Gives the logits of a module, whatever it puts around them."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, pixels: Tensor) -> Any:
        return _logits_in(self.module(pixels))


def _logits_in(outputs: Any) -> Any:
    """Return `logits` of a mapping, or of an object, that has them; other outputs as they are."""
    if isinstance(outputs, Mapping):
        return outputs.get("logits", outputs)
    return getattr(outputs, "logits", outputs)


def _agree(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    found, expected = found.float().nan_to_num(), expected.float().nan_to_num()
    scale = expected.abs().amax()
    return bool((found - expected).abs().amax() <= _AGREEMENT * scale)
