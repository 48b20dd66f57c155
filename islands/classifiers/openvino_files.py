"""Networks of any framework, in files that OpenVINO reads, with a JSON file that describes them."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from islands.classifiers.engines import Engine, disagreement, probes
from islands.classifiers.network_classifier import (
    Forward,
    NetworkClassifier,
    NotFinite,
    Outputs,
    Precision,
    Preprocessing,
    View,
)
from islands.classifiers.openvino_engine import (
    CompiledNetwork,
    Program,
    UnfitError,
    first_line,
    model_in_file,
    openvino_version,
)
from islands.classifiers.own import describe
from islands.classifiers.saved_programs import description_of
from islands.classifiers.state_dicts import LocalFile
from islands.errors import NetworkError

_CHANNELS_LAST = (".tflite", ".pb", "")
"""Files that have channels last where the shape does not tell; a folder is TensorFlow's."""
_BATCH = 4


class FileNetwork(NamedTuple):
    """What is in a file.

    Attributes:
        path: of the file, or of TensorFlow's folder.
        program: the network.
        classes: the K class names.
        preprocessing: what it was trained with.
    """

    path: Path
    program: Program
    classes: tuple[str, ...]
    preprocessing: Preprocessing


def load_file(file: LocalFile) -> FileNetwork:
    """Return the network of an ONNX, TensorFlow, TFLite, Paddle or IR file.

    `PATH.json` beside it describes it, see `own.describe`; `layout` in it says NCHW or NHWC where the shape
    of the input does not tell.

    Raises:
        NetworkError: a file is missing, is something else, or has another checksum.
    """
    path, name = file.path, f"openvino:{file.path}"
    described = description_of(path)
    found = describe(name, described)
    if not path.is_dir():
        file.read()
    elif file.sha256 is not None:
        raise NetworkError(f"{name}: got network.sha256 for a folder; expected null")
    try:
        model = model_in_file(path)
        layout = _layout_of(model, path, described, found.preprocessing)
        shape = _shape_of(model, layout, found.preprocessing)
    except UnfitError as error:
        raise NetworkError(f"{name}: {error}; expected a network of one input and one output") from None
    digest = hashlib.sha256(f"{shape}".encode())
    for each in _parts(path):
        digest.update(each.read_bytes())
    program = Program(_reader(path, shape), digest.hexdigest(), layout)
    return FileNetwork(path, program, found.classes, found.preprocessing)


def _parts(path: Path) -> list[Path]:
    """Return all files that the network is in: weights may lie beside it, under its name."""
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file())
    beside = sorted(path.parent.glob(f"{path.stem}.*"))
    return [path, *(each for each in beside if each != path and each.is_file() and each.suffix != ".json")]


def _layout_of(
    model: Any, path: Path, described: Any, preprocessing: Preprocessing
) -> Literal["NCHW", "NHWC"]:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnfitError(f"got {len(model.inputs)} inputs and {len(model.outputs)} outputs")
    asked = getattr(described, "layout", None)
    if asked not in (None, "NCHW", "NHWC"):
        raise UnfitError(f"got layout {asked!r} in its description where NCHW and NHWC are known")
    shape = model.input(0).get_partial_shape()
    if asked is not None or shape.rank.is_dynamic or len(shape) != 4:
        return asked or ("NHWC" if path.suffix in _CHANNELS_LAST else "NCHW")
    first, last = (
        shape[place].is_dynamic or shape[place].get_length() == preprocessing.channels for place in (1, 3)
    )
    if first == last:
        return "NHWC" if path.suffix in _CHANNELS_LAST else "NCHW"
    return "NCHW" if first else "NHWC"


def _shape_of(model: Any, layout: str, preprocessing: Preprocessing) -> list[int]:
    """Return the shape of the input for batches of any size."""
    size, channels = preprocessing.input_size, preprocessing.channels
    shape = [-1, channels, size, size] if layout == "NCHW" else [-1, size, size, channels]
    taken = model.input(0).get_partial_shape()
    if not taken.compatible(type(taken)(shape)):
        raise UnfitError(f"got an input of shape {taken}, which its description has as {type(taken)(shape)}")
    return shape


def _reader(path: Path, shape: list[int]) -> Callable[[], Any]:
    def read() -> Any:
        model = model_in_file(path)
        model.reshape(shape)
        return model

    return read


class FileClassifier(NetworkClassifier):
    """A network in a file, which OpenVINO runs; it has no gradients.

    Raises:
        NetworkError: it cannot be run here, or onnxruntime gives it other scores.
    """

    def __init__(
        self,
        name: str,
        network: FileNetwork,
        *,
        view: View,
        batch_size: int | None,
        precision: Precision,
        device: torch.device,
        outputs: Outputs | None,
        not_finite: NotFinite,
    ) -> None:
        preprocessing = replace(network.preprocessing, view=view)
        super().__init__(
            name,
            network.classes,
            preprocessing,
            batch_size=batch_size or _BATCH,
            device=device,
            precision=precision,
            outputs=outputs,
            not_finite=not_finite,
        )
        if device.type != "cpu":
            raise NetworkError(f"{name}: got the device {device}, but it runs on CPUs; set the device to cpu")
        settings = f"{sorted(asdict(preprocessing).items())} {precision} {self._outputs}"
        found = f"{settings} {network.program.layout} {network.program.digest}"
        self.fingerprint = hashlib.sha256(found.encode()).hexdigest()
        self._compiled = CompiledNetwork(
            network.program, preprocessing.mean, preprocessing.std, preprocessing.channels, precision
        )
        try:
            self._compiled(probes(self.channels, self.input_size)[:1])
        except UnfitError as error:
            raise NetworkError(f"{name}: {error}; expected a network that OpenVINO runs") from None
        self._look_at(self._probe(self._forward))
        why = self._compared(network, getattr(torch, precision))
        self.engine = Engine(f"OpenVINO {openvino_version()}", why)

    def bare(self, images: Tensor) -> Callable[[], object]:
        """See `NetworkClassifier.bare`."""
        chunks = images.split(self.batch_size)
        return lambda: [self._compiled(chunk) for chunk in chunks]

    def _forward(self, pixels: Tensor) -> Any:
        try:
            return self._compiled(pixels)
        except UnfitError as error:
            raise NetworkError(f"{self.name}: {error}; export it for batches of any size") from None

    def _compared(self, network: FileNetwork, precision: torch.dtype) -> str:
        """Return in words how close onnxruntime's scores are, where it can be asked."""
        if network.path.suffix != ".onnx":
            return "it reads the file; there is nothing here to compare with"
        reference = self._onnxruntime(network)
        if reference is None:
            return "it reads the file; install onnxruntime to have the two compared"
        pictures = probes(self.channels, self.input_size)
        with torch.inference_mode():
            expected = torch.cat([self._logits(each[None], reference) for each in pictures])
            found = torch.cat(
                [self._logits(chunk, self._forward) for chunk in pictures.split(self.batch_size)]
            )
        # Of quantised numbers, two ways to round are as far apart as in low precision.
        quantised = any(each.get_type_name() == "FakeQuantize" for each in network.program.read().get_ops())
        apart, allowed = disagreement(found, expected, torch.bfloat16 if quantised else precision)
        if apart > allowed:
            raise NetworkError(
                f"{self.name}: got log-odds that are off by {apart:.2g} from those of onnxruntime; expected "
                f"at most {allowed:.2g}: OpenVINO reads the file wrongly, so export the network otherwise"
            )
        return f"its log-odds are within {apart:.1g} of onnxruntime's, where {allowed:.1g} is allowed"

    def _onnxruntime(self, network: FileNetwork) -> Forward | None:
        """Return what runs the file of an ONNX with onnxruntime; None where that is not here."""
        try:
            onnxruntime = importlib.import_module("onnxruntime")
        except ImportError:
            return None
        onnxruntime.disable_telemetry_events()
        onnxruntime.set_default_logger_severity(3)
        try:
            session = onnxruntime.InferenceSession(str(network.path), providers=["CPUExecutionProvider"])
        except Exception as error:
            raise NetworkError(
                f"{self.name}: onnxruntime refuses it ({first_line(error)}); expected a file that it reads"
            ) from None
        (taken,) = session.get_inputs()
        last, as_bytes = network.program.layout == "NHWC", taken.type == "tensor(uint8)"

        def run(pixels: Tensor) -> Tensor:
            standard = (pixels.to(torch.float32).div(255) - self._mean) / self._std
            ready = pixels if as_bytes else standard
            ready = ready.permute(0, 2, 3, 1) if last else ready
            try:
                (outputs,) = session.run(None, {taken.name: ready.contiguous().numpy()})
            except Exception as error:
                raise NetworkError(
                    f"{self.name}: onnxruntime fails on it ({first_line(error)}); expected one that it runs"
                ) from None
            return torch.from_numpy(outputs).float()

        return run
