"""A real server of the open inference protocol on loopback, with a network behind it and faults on demand."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import numpy.typing as npt

Network = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
LENGTH = "Inference-Header-Content-Length"
TYPES = {"FP32": np.float32, "FP64": np.float64, "UINT8": np.uint8, "INT64": np.int64}
NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}


@dataclass
class Fault:
    """What the server does in place of answering a request.

    Attributes:
        status: of the answer.
        body: of it; None: the right one.
        delay_s: before it.
        headers: beside the usual ones.
        drop: whether it hangs up without a word.
    """

    status: int = 200
    body: bytes | None = None
    delay_s: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False


@dataclass
class Server:
    """What is served, and what was asked.

    Attributes:
        network: gives outputs (B, …) of inputs (B, …).
        name: of the model.
        binary: whether numbers may travel as bytes.
        token: that is asked for; None: none.
        shape: of the input; None: the metadata are empty, as MLServer's may be.
        datatype: of the input, as the metadata have it.
        most: `max_batch_size`, as Triton's configuration has it; None: there is none.
        faults: of the next requests that images are in, one each.
        batches: the images of each such request.
        paths: of all requests.
    """

    network: Network
    name: str = "digits"
    binary: bool = False
    token: str | None = None
    shape: list[int] | None = None
    datatype: str = "FP32"
    most: int | None = None
    faults: deque[Fault] = field(default_factory=deque)
    batches: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def queries(self) -> int:
        return sum(self.batches)

    def metadata(self) -> dict[str, Any]:
        known = {"name": self.name, "platform": "", "versions": [], "inputs": [], "outputs": []}
        if self.shape is None:
            return known
        taken = {"name": "pixels", "shape": self.shape, "datatype": self.datatype}
        return {**known, "versions": ["1"], "inputs": [taken], "outputs": [{"name": "scores"}]}


@contextmanager
def serving(network: Network, port: int = 0, **settings: Any) -> Iterator[Server]:
    """Serve a network on loopback meanwhile."""
    server = Server(network, **settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

        def do_GET(self) -> None:
            model = f"/v2/models/{server.name}"
            config = None if server.most is None else {"max_batch_size": server.most}
            known = {
                "/v2": {
                    "name": "tests",
                    "version": "1",
                    "extensions": ["binary_tensor_data"] if server.binary else [],
                },
                model: server.metadata(),
                f"{model}/ready": {},
                f"{model}/config": config,
            }
            server.paths.append(self.path)
            found = known.get(self.path)
            self.answer(404 if found is None else 200, json.dumps(found or {}).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.paths.append(self.path)
            length = int(self.headers.get(LENGTH, len(body)))
            request = json.loads(body[:length])
            (tensor,) = request["inputs"]
            kind = TYPES[tensor["datatype"]]
            given = (
                np.frombuffer(body[length:], kind)
                if "parameters" in tensor
                else np.array(tensor["data"], kind)
            ).reshape(tensor["shape"])
            server.batches.append(len(given))
            fault = server.faults.popleft() if server.faults else Fault()
            time.sleep(fault.delay_s)
            if fault.drop:
                self.close_connection = True
                return
            if fault.body is not None or fault.status != 200:
                self.answer(fault.status, fault.body or b"", fault.headers)
                return
            wanted = request.get("outputs") or [{"name": "scores"}]
            scores = np.ascontiguousarray(server.network(given))
            raw = scores.tobytes() if server.binary else b""
            output = {"name": wanted[0]["name"], "shape": list(scores.shape), "datatype": NAMES[scores.dtype]}
            if server.binary:
                output["parameters"] = {"binary_data_size": len(raw)}
            else:
                output["data"] = [None if np.isnan(x) else x for x in scores.ravel().tolist()]
            head = json.dumps({"model_name": server.name, "outputs": [output]}).encode()
            self.answer(200, head + raw, {LENGTH: str(len(head))} if server.binary else {})

        def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            if server.token is not None and self.headers.get("Authorization") != f"Bearer {server.token}":
                status, body = 401, b"who are you?"
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    listening = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    listening.daemon_threads = True
    server.url = f"http://127.0.0.1:{listening.server_address[1]}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
