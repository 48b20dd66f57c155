"""A client of the open inference protocol (v2, REST), as KServe, Triton, MLServer and OpenVINO serve it.

It is written from https://github.com/kserve/open-inference-protocol, and from what those servers answer.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, ReadTimeoutError

from islands.classifiers.hosts import ASK_FIRST, TOKEN, ServedName
from islands.errors import NetworkError

DATATYPES = {"FP32": np.float32, "FP64": np.float64, "UINT8": np.uint8}
"""What a network may take."""
_SCORES = {"FP16": np.float16, "FP32": np.float32, "FP64": np.float64}
"""What it may give."""
_HEADER = "Inference-Header-Content-Length"
"""The length of the JSON in front of bytes."""
_BINARY = "binary_tensor_data"

TIMEOUT = urllib3.Timeout(connect=5, read=60)
_PAUSES = urllib3.Retry(
    backoff_factor=0.5,
    backoff_max=10,
    retry_after_max=60,
    allowed_methods=None,
    status_forcelist=(429, 500, 502, 503, 504),
)
AT_FIRST = _PAUSES.new(total=4, status_forcelist=(400, 503))
"""A server that starts is waited for, 7 seconds in all; Triton says 400 of a network that is not ready."""
LATER = _PAUSES.new(total=6, backoff_jitter=0.5)
"""A server that restarts is waited for, 25 seconds in all."""
_MOST = 1 << 20
"""Bytes that an answer may have beside its numbers."""
_DIGITS = 32
"""Bytes that JSON has for a number at most."""
_SHOWN = 160


class Served(NamedTuple):
    """What a server says of a network, if anything.

    Attributes:
        server: its name and version.
        binary: whether it takes numbers as bytes.
        versions: of the model.
        input: name of its input; None: it has several, or says nothing.
        shape: of that, -1 where any size will do; None likewise.
        datatype: of that; None likewise.
        outputs: their names.
        most: images in a request at most; None: not known.
    """

    server: str
    binary: bool
    versions: tuple[str, ...]
    input: str | None
    shape: tuple[int, ...] | None
    datatype: str | None
    outputs: tuple[str, ...]
    most: int | None


class Question(NamedTuple):
    """How a network is asked.

    Attributes:
        input: name of its input.
        datatype: of that, one of `DATATYPES`.
        output: name of the output that has the scores; None: the only one.
        binary: whether numbers travel as bytes.
    """

    input: str
    datatype: str
    output: str | None
    binary: bool


class InferenceClient:
    """Asks one server about one network, with patience.

    No proxy is used and no redirection followed: nobody but the host in the address is asked.

    Args:
        name: where the network is served.
        label: what messages call it.
        reserve: called before each request that images are in, with their number; it may wait, or raise.
    """

    def __init__(self, name: ServedName, label: str, reserve: Callable[[int], None]) -> None:
        self._name = name
        self._label = label
        self._reserve = reserve
        self._pool = urllib3.PoolManager(timeout=TIMEOUT)

    def describe(self) -> Served:
        """Wait until the network is ready, and return what the server says of it.

        Raises:
            NetworkError: it is not there, or asks for a token.
        """
        ready = self._get(f"{self._name.path}/ready", AT_FIRST)
        if ready is None or ready.get("ready") is False:
            self._refuse(f"the server has no network {self._name.model!r} that is ready", "expected one")
        server, metadata = self._get("/v2", AT_FIRST) or {}, self._get(self._name.path, AT_FIRST) or {}
        config = self._get(f"{self._name.path}/config", AT_FIRST) or {}
        inputs, outputs = (_mappings(metadata.get(kind)) for kind in ("inputs", "outputs"))
        only = inputs[0] if len(inputs) == 1 else {}
        most, shape = config.get("max_batch_size"), only.get("shape")
        return Served(
            server=f"{server.get('name', 'a server')} {server.get('version', '')}".strip(),
            binary=_BINARY in (server.get("extensions") or ()),
            versions=tuple(map(str, metadata.get("versions") or ())),
            input=only.get("name"),
            shape=tuple(shape) if isinstance(shape, list) and all(type(n) is int for n in shape) else None,
            datatype=only.get("datatype"),
            outputs=tuple(str(each.get("name")) for each in outputs),
            most=most if isinstance(most, int) and most > 0 else None,
        )

    def infer(
        self, question: Question, inputs: npt.NDArray[Any], width: int, *, at_first: bool = False
    ) -> npt.NDArray[np.float32]:
        """Return scores (B, n) of inputs (B, …).

        Args:
            question: how to ask.
            inputs: of the type that `question` names.
            width: about how many scores an image gets.
            at_first: whether it is not known yet that requests of this kind are answered.

        Raises:
            NetworkError: the server is gone, too slow, refuses, or answers with something else.
            BudgetSpentError: it was asked as often as it may be.
        """
        body, headers = _request(question, inputs)
        most = _MOST + _DIGITS * len(inputs) * max(width, 1)
        data, answered = self._send(
            "POST",
            f"{self._name.path}/infer",
            AT_FIRST if at_first else LATER,
            len(inputs),
            most,
            body=body,
            headers=headers,
        )
        length = answered.get(_HEADER)
        document = self._json(data if length is None else data[: int(length)])
        tensor = self._chosen(document, question)
        return self._scores(tensor, len(inputs), None if length is None else data[int(length) :], document)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _get(self, path: str, patience: urllib3.Retry) -> dict[str, Any] | None:
        """Return what the server says at a path; None where it has nothing there."""
        data, headers = self._send("GET", path, patience, 0, _MOST, missing_is_fine=True)
        if headers is _NOTHING:
            return None
        if not data.strip():
            return {}
        try:
            found = json.loads(data)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _send(
        self,
        method: str,
        path: str,
        patience: urllib3.Retry,
        queries: int,
        most: int,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        missing_is_fine: bool = False,
    ) -> tuple[bytes, Mapping[str, str]]:
        token = os.environ.get(TOKEN)
        headers = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        url = f"{self._name.base}{path}"
        while True:
            if queries:
                self._reserve(queries)
            response, text = None, b""
            try:
                response = self._pool.request(
                    method,
                    url,
                    body=body,
                    headers=headers,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
                text = response.read(most + 1)
                if len(text) > most:
                    response.close()
                response.release_conn()
                if not patience.is_retry(method, response.status):
                    break
                patience = patience.increment(method, url, response=response)
            except MaxRetryError:
                break
            except HTTPError as error:
                response = None
                try:
                    patience = patience.increment(method, url, error=error)
                except MaxRetryError:
                    self._tell_of_silence(error)
            patience.sleep(response)
        assert response is not None, "only answers end the loop"
        if missing_is_fine and response.status in (400, 404, 405, 501):
            return b"", _NOTHING
        if response.status != 200:
            self._tell_of(response, text)
        if len(text) > most:
            self._refuse(f"got an answer of more than {most:,} bytes", "expected scores alone")
        return text, response.headers

    def _tell_of_silence(self, error: HTTPError) -> NoReturn:
        where, cause = self._name.base, " ".join(str(error).rpartition(": ")[2].split())
        if isinstance(error, ReadTimeoutError):
            self._refuse(
                f"{where} does not answer in time ({cause})",
                f"expected an answer within {TIMEOUT.read_timeout:g} seconds: lower network.batch_size",
            )
        self._refuse(f"{where} does not answer ({cause})", "start the server, and try again")

    def _tell_of(self, response: urllib3.BaseHTTPResponse, text: bytes) -> NoReturn:
        where = self._name.base
        if response.status in (401, 403):
            refuses = f"refuses the token in {TOKEN}" if os.environ.get(TOKEN) else "asks for a token"
            self._refuse(
                f"{where} {refuses} ({response.status})", f"set {TOKEN} to one of its owner's: {ASK_FIRST}"
            )
        if response.status in range(300, 400):
            self._refuse(
                f"{where} sends us on to {response.headers.get('Location')!r}, where nobody is asked",
                "name that address yourself, if it is meant",
            )
        if response.status == 404:
            self._refuse(f"{where} has no network {self._name.model!r} (404)", "expected one that it serves")
        self._refuse(
            f"{where} answers {response.status}: {_said(text)}",
            "expected scores: the server's log says more",
        )

    def _json(self, data: bytes) -> dict[str, Any]:
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            self._refuse(f"got {_said(data)!r} for an answer", "expected JSON of the open inference protocol")
        if found.get("error"):
            self._refuse(f"the server says {_said(str(found['error']).encode())!r}", "expected scores")
        return found

    def _chosen(self, document: dict[str, Any], question: Question) -> dict[str, Any]:
        outputs = {str(each.get("name")): each for each in _mappings(document.get("outputs"))}
        if question.output is None and len(outputs) == 1:
            (found,) = outputs.values()
            return found
        if question.output in outputs:
            return outputs[question.output]
        expected = "one: name that of the scores as `output` in the description"
        if question.output is not None:
            expected = f"{question.output} among them, which the description names as `output`"
        raise self._refusal(f"got the outputs {', '.join(outputs) or 'of none'}", f"expected {expected}")

    def _scores(
        self, tensor: dict[str, Any], n: int, raw: bytes | None, document: dict[str, Any]
    ) -> npt.NDArray[np.float32]:
        datatype, shape, name = tensor.get("datatype"), tensor.get("shape"), tensor.get("name")
        if datatype not in _SCORES:
            self._refuse(
                f"got the output {name} of type {datatype}",
                "expected floats: name the output that has scores, such as predict_proba, as `output` in the "
                "description",
            )
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        try:
            if raw is not None and size is not None:
                values = np.frombuffer(_of(document, name, raw), _SCORES[datatype])
            else:
                # `null` is how some servers write a NaN, which JSON has not.
                flat = [math.nan if each is None else each for each in _flattened(tensor.get("data"))]
                values = np.array(flat, np.float64)
            # An overflow is a score that is not finite, and told as such.
            with np.errstate(over="ignore"):
                floats = values.astype(np.float32)
            whole = math.prod(shape or ()) == floats.size
        except (TypeError, ValueError, KeyError):
            self._refuse(f"got the output {name} that is no table of numbers", "expected one row an image")
        if not shape or not whole or shape[0] != n:
            self._refuse(
                f"got {floats.size} numbers of shape {shape} as the output {name}",
                f"expected {n} rows, one an image",
            )
        return floats.reshape(n, -1)

    def _refuse(self, got: str, expected: str) -> NoReturn:
        raise self._refusal(got, expected)

    def _refusal(self, got: str, expected: str) -> NetworkError:
        return NetworkError(f"{self._label}: {got}; {expected}")


_NOTHING: Mapping[str, str] = {}
"""The headers of an answer that there is nothing."""


def _request(question: Question, inputs: npt.NDArray[Any]) -> tuple[bytes, dict[str, str]]:
    tensor: dict[str, Any] = {
        "name": question.input,
        "shape": list(inputs.shape),
        "datatype": question.datatype,
    }
    document: dict[str, Any] = {"inputs": [tensor]}
    if question.output is not None:
        wanted: dict[str, Any] = {"name": question.output}
        document["outputs"] = [wanted | ({"parameters": {"binary_data": True}} if question.binary else {})]
    elif question.binary:
        document["parameters"] = {"binary_data_output": True}
    if not question.binary:
        # A float32 is a double as well, and its shortest decimal fraction is read as that one again.
        tensor["data"] = inputs.ravel().tolist()
        return json.dumps(document).encode(), {"Content-Type": "application/json"}
    raw = np.ascontiguousarray(inputs, inputs.dtype.newbyteorder("<")).tobytes()
    tensor["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps(document).encode()
    return head + raw, {"Content-Type": "application/octet-stream", _HEADER: str(len(head))}


def _of(document: dict[str, Any], name: object, raw: bytes) -> bytes:
    """Return the bytes of one output: they lie one after the other, in the order of the outputs."""
    start = 0
    for each in _mappings(document.get("outputs")):
        size = (each.get("parameters") or {}).get("binary_data_size", 0)
        if each.get("name") == name:
            return raw[start : start + size]
        start += size
    raise KeyError(name)


def _flattened(data: Any) -> list[Any]:
    """Return numbers in the order of rows: servers write them flat or nested."""
    if not isinstance(data, list):
        raise TypeError
    return [x for each in data for x in (_flattened(each) if isinstance(each, list) else (each,))]


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _said(text: bytes) -> str:
    """Return the beginning of what a server says, in one line."""
    try:
        found = json.loads(text)
        words = str(found.get("error") or found.get("detail") or found) if isinstance(found, dict) else ""
    except ValueError:
        words = ""
    line = " ".join((words or text.decode(errors="replace")).split())
    return (line if len(line) <= _SHOWN else f"{line[:_SHOWN]}...") or "nothing"
