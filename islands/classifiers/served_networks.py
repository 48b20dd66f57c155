"""Networks behind a server, which is asked as rarely as can be: what it has answered is kept."""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from islands.classifiers.contract import Classifier
from islands.classifiers.engines import Engine, probes
from islands.classifiers.hosts import ASK_FIRST, ServedName, require_allowed, served_name
from islands.classifiers.inference_protocol import (
    DATATYPES,
    InferenceClient,
    Question,
    Served,
)
from islands.classifiers.network_classifier import (
    NetworkClassifier,
    NotFinite,
    Outputs,
    Preprocessing,
    View,
)
from islands.classifiers.own import describe
from islands.classifiers.query_ledger import Floats, Limits, QueryLedger
from islands.classifiers.saved_programs import read_description
from islands.errors import NetworkError

Layout = Literal["NCHW", "NHWC", "flat"]
_BATCH = 16
_AT_ONCE = 1024
"""Images that are looked up at a time."""


class ServedNetwork(NamedTuple):
    """A network behind a server, as its description has it.

    Attributes:
        served: where it is.
        path: of the description.
        classes: the K class names.
        preprocessing: what it was trained with.
        layout: of its input; None: as the server says, else NCHW.
        input: name of that; None: as the server says.
        datatype: of that, likewise.
        output: name of what has the scores; None: the only one.
        outputs: what these are, see `islands.config.NetworkConfig.outputs`; None: logits.
    """

    served: ServedName
    path: Path
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    layout: Layout | None
    input: str | None
    datatype: str | None
    output: str | None
    outputs: Outputs | None


def load_served(url: str, description: str | None) -> ServedNetwork:
    """Read the description of a served network; nobody is asked yet.

    Args:
        url: what stands behind `kserve:`.
        description: path of a JSON file; None: `MODEL.json` in the current folder. It says what
            `own.describe` reads, and where the server does not say so itself: `layout` (NCHW, NHWC or flat),
            `input` and `output` (names), `datatype` (FP32, FP64 or UINT8), `outputs` (see
            `islands.config.NetworkConfig.outputs`).

    Raises:
        NetworkError: the host may not be asked, or the description is missing or means nothing.
    """
    name = f"kserve:{url}"
    served = served_name(name)
    require_allowed(name, served)
    path = Path(description or f"{served.model}.json")
    described = read_description(path)
    network = describe(name, described)
    found = {
        key: _chosen(path, described, key, known)
        for key, known in {
            "layout": get_args(Layout),
            "input": None,
            "output": None,
            "datatype": tuple(DATATYPES),
            "outputs": get_args(Outputs),
        }.items()
    }
    return ServedNetwork(served, path, network.classes, network.preprocessing, **found)


class ServedClassifier(NetworkClassifier):
    """A network behind a server; it has no gradients.

    Requests have `batch_size` images always: short ones are filled up, so that the scores of an image depend
    on that image alone. Each image is asked about once, by all processes of this machine together, see
    `QueryLedger`. Six pictures and noise are asked about each time that it is loaded: by them one knows
    whether the server still has the network that it had.

    Raises:
        NetworkError: the server cannot be asked, or its network does not fit its description.
    """

    scores_each = True
    """Whether the scores of an image do not depend on how many others are asked about with it."""

    def __init__(
        self,
        name: str,
        network: ServedNetwork,
        limits: Limits,
        *,
        view: View,
        batch_size: int | None,
        device: torch.device,
        outputs: Outputs | None,
        not_finite: NotFinite,
    ) -> None:
        preprocessing = replace(network.preprocessing, view=view)
        self.ledger = QueryLedger(network.served, limits, name)
        self.limits = limits
        self._client = InferenceClient(network.served, name, self.ledger.reserve)
        weakref.finalize(self, _close, self.ledger, self._client)
        said = self._client.describe()
        self._shape, self._layout = _input_of(name, network, said)
        super().__init__(
            name,
            network.classes,
            preprocessing,
            batch_size=_batch_of(name, self._shape, said, batch_size),
            device=device,
            precision="float32",
            outputs=outputs or network.outputs,
            not_finite=not_finite,
        )
        self._question = _question(network, said)
        self._require_usable()
        facts = [self._question._asdict(), self._layout, asdict(preprocessing), self._outputs]
        settings = hashlib.sha256(json.dumps([*facts, self.batch_size, network.classes]).encode()).digest()
        now = self._ask(self._as_inputs(self._probes()), at_first=True)
        self._number, first, apart = self.ledger.model(settings, now)
        self.fingerprint = hashlib.sha256(settings + first.tobytes()).hexdigest()
        if self._asked is None and DATATYPES[self._question.datatype] is not np.uint8:
            self._look_at(self._probe(self._forward))
        way = "binary" if self._question.binary else "JSON"
        same = "bit for bit" if apart == 0 else f"within {apart:.1g}"
        self.engine = Engine(
            f"{said.server}, {way}",
            f"it serves the network, and answers as it did at first, {same}",
            runs_here=False,
        )

    @property
    def queries(self) -> str:
        """In words: how often the network was asked, and how often it may be."""
        budget, rate = self.limits.budget, self.limits.queries_per_second
        allowed = "no budget" if budget is None else f"the budget is {budget:,}"
        pace = "as fast as it answers" if rate is None else f"at most {rate:g} a second"
        return (
            f"{self.ledger.asked:,} asked from this machine so far, {allowed}, {pace}; answers are kept in "
            f"{self.ledger.path}; {ASK_FIRST}"
        )

    def bare(self, images: Tensor) -> Callable[[], object]:
        """See `NetworkClassifier.bare`."""
        return lambda: self._forward(images)

    @property
    def _chunk_size(self) -> int:
        return _AT_ONCE

    def _forward(self, pixels: Tensor) -> Tensor:
        inputs = self._as_inputs(pixels)
        images = [hashlib.sha256(each.tobytes()).digest() for each in inputs]
        rows = dict(zip(images, range(len(images)), strict=True))
        known = self.ledger.find(self._number, list(rows))
        for batch in _batches((image for image in rows if image not in known), self.batch_size):
            # A full batch each time: float sums depend on its size, not on what else is in it.
            filled = [*batch, *batch[:1] * (self.batch_size - len(batch))]
            answers = self._ask(inputs[[rows[image] for image in filled]])
            known |= self.ledger.keep(self._number, dict(zip(batch, answers[: len(batch)], strict=True)))
        return torch.from_numpy(np.stack([known[image] for image in images])).to(pixels.device)

    def _ask(self, inputs: npt.NDArray[Any], *, at_first: bool = False) -> Floats:
        """Return what the server answers to (n, …), n a multiple of the batch size; nothing is looked up."""
        batches = np.split(inputs, len(inputs) // self.batch_size)
        ask = partial(self._client.infer, self._question, width=len(self.classes), at_first=at_first)
        return np.concatenate([ask(each) for each in batches])

    def _probes(self) -> Tensor:
        """Return pictures that tell one network from another, and noise that fills up the batch."""
        known = probes(self.channels, self.input_size)
        noise = torch.rand(
            (-len(known) % self.batch_size, *known.shape[1:]), generator=torch.Generator().manual_seed(1)
        )
        return torch.cat([known, (noise * 255).to(torch.uint8)])

    def _as_inputs(self, pixels: Tensor) -> npt.NDArray[Any]:
        """Return what is sent of images (B, C, H, W), uint8 or float32 in [0, 1]."""
        datatype = DATATYPES[self._question.datatype]
        if datatype is np.uint8:
            given = pixels if pixels.dtype == torch.uint8 else (pixels * 255).round().to(torch.uint8)
        else:
            scaled = pixels.to(torch.float32).div(255) if pixels.dtype == torch.uint8 else pixels
            given = (scaled - self._mean) / self._std
        given = given.permute(0, 2, 3, 1) if self._layout == "NHWC" else given
        given = given.flatten(1) if self._layout == "flat" else given
        return given.contiguous().cpu().numpy().astype(datatype, copy=False)

    def _require_usable(self) -> None:
        bytes_ = DATATYPES[self._question.datatype] is np.uint8
        if bytes_ and (any(self._preprocessing.mean) or {*self._preprocessing.std} != {1.0}):
            raise NetworkError(
                f"{self.name}: got mean and std for a network that takes bytes ({self._question.datatype}); "
                "expected neither: it scales pixels itself"
            )


def served_members(classifier: Classifier) -> Iterator[ServedClassifier]:
    """Yield the served networks that a classifier is made of."""
    if isinstance(classifier, ServedClassifier):
        yield classifier
    for member in getattr(classifier, "members", ()):
        yield from served_members(member)


def _close(ledger: QueryLedger, client: InferenceClient) -> None:
    ledger.close()
    client.close()


def _chosen(path: Path, described: Any, key: str, known: tuple[str, ...] | None) -> Any:
    value = getattr(described, key, None)
    if value is not None and (not isinstance(value, str) or (known is not None and value not in known)):
        expected = "a name" if known is None else f"one of {', '.join(known)}"
        raise NetworkError(f"{path}: got {key} {value!r}; expected {expected}")
    return value


def _input_of(name: str, network: ServedNetwork, said: Served) -> tuple[tuple[int, ...], Layout]:
    """Return the shape of the input, -1 where any size will do, and what its numbers mean."""
    size, channels = network.preprocessing.input_size, network.preprocessing.channels
    layout, shape = network.layout, said.shape
    if layout is None:
        layout = "NCHW"
        if shape is not None and len(shape) == 2:
            layout = "flat"
        elif shape is not None and len(shape) == 4 and shape[1] != channels and shape[3] == channels:
            layout = "NHWC"
    rest = {
        "NCHW": (channels, size, size),
        "NHWC": (size, size, channels),
        "flat": (channels * size * size,),
    }[layout]
    if not shape:
        return (-1, *rest), layout
    fits = len(shape) == len(rest) + 1 and all(
        own in (-1, expected) for own, expected in zip(shape[1:], rest, strict=True)
    )
    if not fits:
        raise NetworkError(
            f"{name}: got an input of shape {list(shape)}, which {network.path} has as {[-1, *rest]} "
            f"({layout}); expected input_size, channels and layout as the server has them"
        )
    return (shape[0], *rest), layout


def _batch_of(name: str, shape: tuple[int, ...], said: Served, asked: int | None) -> int:
    """Return how many images each request has."""
    fixed = shape[0] if shape[0] > 0 else None
    most = fixed or said.most
    if asked is not None and ((fixed is not None and asked != fixed) or (most is not None and asked > most)):
        raise NetworkError(
            f"network.batch_size: got {asked} for {name}, whose server takes {most} images "
            f"{'a request' if fixed else 'at most'}; expected {'that' if fixed else 'no more'}, or null"
        )
    return asked or fixed or min(_BATCH, most or _BATCH)


def _question(network: ServedNetwork, said: Served) -> Question:
    datatype = network.datatype or said.datatype or "FP32"
    if datatype not in DATATYPES:
        raise NetworkError(
            f"kserve:{network.served.base}/{network.served.model}: got an input of type {datatype}; expected "
            f"one of {', '.join(DATATYPES)}"
        )
    return Question(network.input or said.input or "input-0", datatype, network.output, said.binary)


def _batches(images: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    while batch := list(islice(images, size)):
        yield batch
