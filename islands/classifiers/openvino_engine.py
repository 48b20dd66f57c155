"""Runs networks with OpenVINO, on CPUs."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from islands.classifiers.openvino_import import import_openvino
from islands.errors import DataError
from islands.files import write_whole
from islands.folders import cache_directory

_PRECISION = "INFERENCE_PRECISION_HINT"
_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_INSTRUCTIONS = ("avx2", "avx512_f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16")
"""Of those that torch can tell, what OpenVINO chooses kernels by."""
KEPT_BYTES = 2 << 30
"""Of compiled models, on the disk: some hundred like EfficientNet-Lite0."""


class UnfitError(Exception):
    """Raised when OpenVINO cannot run a network as asked; says why, in half a line."""


@dataclass(frozen=True)
class Program:
    """A network that OpenVINO can read.

    Attributes:
        read: returns an `openvino.Model` of one input (B, C, H, W) or (B, H, W, C), B of any size, and one
            output; raises `UnfitError`. Slow, and not called where a compiled model was kept.
        digest: of all that it computes.
        layout: of its input.
    """

    read: Callable[[], Any]
    digest: str
    layout: Literal["NCHW", "NHWC"] = "NCHW"


def openvino_version() -> str:
    """Return the version of OpenVINO.

    Raises:
        UnfitError: it is not here.
    """
    try:
        version: str = import_openvino().__version__.partition("-")[0]
    except ImportError as error:
        raise UnfitError(f"OpenVINO is not to be had ({str(error).splitlines()[0]})") from None
    return version


@cache
def instruction_set() -> str:
    """Return what this CPU offers of what kernels are chosen by, such as `avx2 avx512_f`."""
    offered = torch.cpu.get_capabilities()
    return " ".join(name for name in _INSTRUCTIONS if offered.get(name)) or str(offered["architecture"])


def traced(module: nn.Module, channels: int, size: int) -> Program:
    """Return what a module that gives a tensor computes of float32 (B, channels, size, size).

    The module must keep its weights as long as the program is in use.

    Whatever depends on the values of an input is as it was for the picture that it is traced with, which is
    uniform: the caller must compare.

    Raises:
        UnfitError: it cannot be traced.
    """
    example = torch.zeros((2, channels, size, size))
    with _translating():
        script = torch.jit.trace(module, example, check_trace=False)
        digest = _digest_of(script)

    def read() -> Any:
        with _translating(), _logging_kept():
            model = import_openvino().convert_model(script, example_input=example)
            model.reshape([-1, channels, size, size])
        return model

    return Program(read, digest)


@contextmanager
def _translating() -> Iterator[None]:
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # torch warns of what it cannot trace, and calls its tracer deprecated.
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        raise UnfitError(f"the module does not translate ({first_line(error)})") from None


@contextmanager
def _logging_kept() -> Iterator[None]:
    """Put the root logger back: a conversion that fails leaves it at ERROR, and all warnings go unheard."""
    root = logging.getLogger()
    level, filters, handlers = root.level, [*root.filters], [*root.handlers]
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters, root.handlers = filters, handlers


def _digest_of(script: Any) -> str:
    """Return the sha256 of the operations and the numbers of a traced module."""
    graph = script.inlined_graph
    constants = [node for node in graph.findAllNodes("prim::Constant") if node.hasAttribute("value")]
    tensors = [node.t("value") for node in constants if node.kindOf("value") == "t"]
    # Where lines of code stood is no part of the program, nor the numbers that tell apart torch's classes.
    sha = hashlib.sha256(re.sub(r"\.___torch_mangle_\d+| +#.*", "", str(graph)).encode())
    for tensor in (*script.parameters(), *script.buffers(), *tensors):
        sha.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def model_in_file(path: Path) -> Any:
    """Return the `openvino.Model` of an ONNX, TensorFlow, TFLite, Paddle or IR file.

    Raises:
        UnfitError: OpenVINO is not here, or cannot read it.
    """
    openvino_version()
    try:
        return import_openvino().Core().read_model(path)
    except Exception as error:
        raise UnfitError(f"OpenVINO does not read it ({first_line(error)})") from None


class CompiledNetwork:
    """A network together with its normalisation, compiled for this CPU.

    The bits of an output depend on the image, the number of images in the batch and the number of threads,
    which is torch's where it is called. It may be called by several threads at a time.

    Args:
        program: the network, of normalised pixels.
        mean: subtracted from pixels in [0, 1]; one number for all channels, or one for each.
        std: what they are divided by then, likewise.
        channels: 1 or 3.
        precision: of the forward pass: `float32`, `bfloat16` or `float16`.
    """

    def __init__(
        self,
        program: Program,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        channels: int,
        precision: str,
    ) -> None:
        self._program = program
        self._mean = [*mean] * (channels // len(mean))
        self._std = [*std] * (channels // len(std))
        self._precision = precision
        # OpenVINO's requests take a call at a time, and those of one compiled model wait for each other.
        self._idle: dict[tuple[torch.dtype, int], list[Any]] = defaultdict(list)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return outputs, float32 (B, …), of images (B, C, H, W): uint8, or float32 in [0, 1].

        Raises:
            UnfitError: OpenVINO does not compile or run it.
        """
        idle = self._idle[pixels.dtype, torch.get_num_threads()]
        try:
            request = idle.pop()
        except IndexError:
            request = self._compile(pixels.dtype, torch.get_num_threads()).create_infer_request()
        try:
            (found,) = request.infer([pixels.contiguous().numpy()], share_inputs=True).values()
        except RuntimeError as error:
            raise UnfitError(f"OpenVINO does not run it ({first_line(error)})") from None
        idle.append(request)
        return torch.from_numpy(found)

    def _compile(self, dtype: torch.dtype, threads: int) -> Any:
        openvino = import_openvino()
        settings = {
            # Left to itself it takes bfloat16 where the CPU has it.
            _PRECISION: _TYPES[self._precision],
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # All workers of a machine would be pinned to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        core = openvino.Core()

        def compile_anew() -> Any:
            compiled = core.compile_model(self._prepared(dtype), "CPU", settings)
            if compiled.get_property("INFERENCE_PRECISION_HINT").to_string() != settings[_PRECISION]:
                raise UnfitError(f"OpenVINO computes no {self._precision} on this CPU ({instruction_set()})")
            return compiled

        what = f"{self._program.digest} {dtype} {self._mean} {self._std} {sorted(settings.items())}"
        try:
            return _kept(what, compile_anew, lambda data: core.import_model(data, "CPU", settings))
        except RuntimeError as error:
            raise UnfitError(f"OpenVINO does not compile it ({first_line(error)})") from None

    def _prepared(self, dtype: torch.dtype) -> Any:
        """Return the model, of images as they come."""
        openvino = import_openvino()
        model = self._program.read()
        preparation = openvino.preprocess.PrePostProcessor(model)
        images = preparation.input()
        as_bytes = dtype == torch.uint8
        taken = model.input(0).get_element_type()
        if taken not in (openvino.Type.f32, openvino.Type.u8):
            raise UnfitError(f"it takes {taken.to_string()} where f32 and u8 are known")
        images.tensor().set_element_type(openvino.Type.u8 if as_bytes else openvino.Type.f32)
        images.tensor().set_layout(openvino.Layout("NCHW"))
        images.model().set_layout(openvino.Layout(self._program.layout))
        steps = images.preprocess()
        if taken == openvino.Type.u8:
            self._require_bytes(as_bytes)
        else:
            if as_bytes:
                steps.convert_element_type(openvino.Type.f32).scale(255.0)
            steps.mean(self._mean).scale(self._std)
        preparation.output().tensor().set_element_type(openvino.Type.f32)
        return preparation.build()

    def _require_bytes(self, as_bytes: bool) -> None:
        """Check that a network of bytes is shown bytes.

        Raises:
            UnfitError: it is not, or they would have to be normalised.
        """
        if not as_bytes:
            raise UnfitError("it takes bytes, and resized images are none: draw them at its own size")
        if {*self._mean} != {0.0} or {*self._std} != {1.0}:
            raise UnfitError("it takes bytes, which mean and std would change: leave those out")


def _kept(what: str, compile_anew: Callable[[], Any], read: Callable[[io.BytesIO], Any]) -> Any:
    """Return a compiled model, read from the cache if it is there; anew, if that cannot be used."""
    name = f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.blob"
    folder = "-".join([openvino_version(), *instruction_set().split()])
    try:
        file = cache_directory("openvino", folder, name)
        if file.is_file():
            with suppress(OSError):  # others' folders can be read and not written
                os.utime(file)  # used: those that nobody uses are forgotten first
            return read(io.BytesIO(file.read_bytes()))
    except (OSError, DataError):
        return compile_anew()
    except RuntimeError:  # damaged, or of another build
        pass
    compiled = compile_anew()
    _keep(file, compiled)
    return compiled


def _keep(file: Path, compiled: Any) -> None:
    data: bytes = compiled.export_model().getvalue()
    with suppress(OSError):  # a full disk: it is compiled again next time
        write_whole(file, data, durable=False)
        _forget(file.parents[1], KEPT_BYTES)


def _forget(folder: Path, limit: int) -> None:
    """Delete what was used the longest ago, of all versions, until `limit` bytes are left."""
    found = [(path.stat(), path) for path in folder.rglob("*.blob")]
    total = 0
    for status, path in sorted(found, key=lambda each: -each[0].st_mtime_ns):
        total += status.st_size
        if total > limit:
            path.unlink(missing_ok=True)


def first_line(error: BaseException) -> str:
    """Return what an error says; OpenVINO begins with where it was raised, and sums up further below."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    summary = [line.removeprefix("-- ") for line in said if line.startswith("-- ")]
    return f"{type(error).__name__}: {(summary or said or [''])[0]}"[:200]
