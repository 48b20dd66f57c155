"""Networks behind a server, over real connections on loopback."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import torch
import urllib3
from sklearn.linear_model import LogisticRegression

import islands
from islands.classifiers import inference_protocol
from islands.classifiers.apart import conditions, predict_each
from islands.classifiers.catalogue import is_ours, parse_network, served_parts
from islands.classifiers.contract import Classifier, require_differentiable
from islands.classifiers.hosts import TOKEN, allow_hosts, served_name
from islands.classifiers.query_ledger import asked_so_far, ledger_path
from islands.classifiers.registry import load_classifier
from islands.classifiers.served_networks import ServedClassifier
from islands.classifiers.torch_classifier import TorchClassifier
from islands.datasets.mnist import load_mnist
from islands.errors import BudgetSpentError, NetworkError
from islands.testing import ClassifierTests
from tests.classifiers.inference_server import Fault, Server, serving

CPU = torch.device("cpu")
BATCH = 16
DIGITS = {"classes": list("0123456789"), "input_size": 28, "channels": 1, "outputs": "logits"}

Floats = npt.NDArray[Any]
Start = Callable[..., Server]
Load = Callable[..., ServedClassifier]


@cache
def local() -> TorchClassifier:
    """The network that is served, here."""
    classifier = load_classifier("lenet-mnist", engine="torch", batch_size=BATCH, device=CPU)
    assert isinstance(classifier, TorchClassifier)
    return classifier


def lenet(inputs: Floats) -> Floats:
    """What the local network does, on as many threads as the tests' own."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        pixels = torch.from_numpy(np.array(inputs, np.float32))
        logits: Floats = local()._run_module(pixels).numpy()
    return logits


def images(n: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 1, 28, 28), dtype=torch.uint8, generator=generator)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A port may have been another server's before: what that has answered is not to be found."""
    monkeypatch.setenv("ISLANDS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(TOKEN, raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    allow_hosts([])


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As patient, but quick."""
    for name in ("AT_FIRST", "LATER"):
        quick = getattr(inference_protocol, name).new(backoff_factor=0.001, backoff_jitter=0)
        monkeypatch.setattr(inference_protocol, name, quick)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers, which end with the test."""
    with ExitStack() as stack:
        yield lambda network=lenet, **settings: stack.enter_context(serving(network, **settings))


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads what a server has, as a description says."""

    def load(server: Server, *, described: dict[str, Any] | None = None, **settings: Any) -> ServedClassifier:
        path = tmp_path / "description.json"
        path.write_text(json.dumps({**DIGITS, **(described or {})}))
        name = f"kserve:{server.url}/{server.name}"
        classifier = load_classifier(name, description=str(path), device=CPU, **settings)
        assert isinstance(classifier, ServedClassifier)
        return classifier

    return load


class OnServer(ClassifierTests):
    settings: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def classifier(self, start: Start, load: Load) -> Classifier:
        return load(start(**self.settings))


class TestOverJson(OnServer):
    """The suite of all classifiers."""


class TestAsBytes(OnServer):
    """Likewise."""

    settings: ClassVar[dict[str, Any]] = {"binary": True}


@pytest.mark.parametrize("binary", [False, True], ids=["JSON", "binary"])
@pytest.mark.parametrize("view", ["whole", "ten-crop"])
def test_scores_are_those_of_the_network_bit_for_bit(
    start: Start, load: Load, binary: bool, view: Any
) -> None:
    here = load_classifier("lenet-mnist", engine="torch", batch_size=BATCH, view=view, device=CPU)
    served = load(start(binary=binary), view=view)
    pixels = images(2 * BATCH, seed=2) if view == "whole" else images(BATCH).repeat(1, 1, 2, 2)[..., :32, :32]
    assert torch.equal(served.predict(pixels).logits, here.predict(pixels).logits)
    assert served.classes == here.classes


def test_what_an_image_gets_depends_on_nothing_else(start: Start, load: Load) -> None:
    """Each request is as long as all others: float sums depend on that."""
    server = start()
    served, pixels = load(server), images(37)
    together = served.predict(pixels).logits
    assert {*server.batches} == {BATCH}
    other = load(start())  # which was told nothing yet
    assert torch.equal(predict_each(other, pixels.flip(0)).logits.flip(0), together)
    assert torch.equal(torch.cat([other.predict(each[None]).logits for each in pixels]), together)


def test_an_image_is_asked_about_once_whoever_asks(start: Start, load: Load) -> None:
    server = start()
    first, pixels = load(server), images(20)
    twice = torch.cat([pixels, pixels])
    scores = first.predict(twice).logits
    assert server.queries == first.ledger.asked == 3 * BATCH, (
        "pictures that tell networks apart, then two batches"
    )
    again = load(server)
    assert torch.equal(again.predict(twice).logits, scores)
    assert server.queries == again.ledger.asked == 4 * BATCH, "the pictures, which are asked about each time"
    assert asked_so_far(served_name(f"kserve:{server.url}/digits")) == server.queries
    assert again.fingerprint == first.fingerprint


def test_threads_and_processes_share_what_they_hear(start: Start, load: Load) -> None:
    server = start()
    served, pixels = [load(server), load(server)], images(64)
    before = server.queries
    found: dict[int, torch.Tensor] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: served[i % 2].predict(pixels).logits}))
        for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[i], found[0]) for i in range(6))
    assert served[0].ledger.asked == server.queries
    assert served[0].predict(pixels).logits.equal(found[0])
    assert server.queries - before >= 64


def test_another_network_at_the_address_is_noticed(start: Start, load: Load) -> None:
    server = start()
    first, pixels = load(server), images(4)
    scores = first.predict(pixels).logits
    server.network = lambda inputs: lenet(inputs)[:, ::-1]
    other = load(server)
    assert other.fingerprint != first.fingerprint
    assert torch.equal(other.predict(pixels).logits, scores.flip(1)), "old answers are the old network's"
    server.network = lenet
    assert load(server).fingerprint == first.fingerprint


def test_rounding_does_not_make_it_another(start: Start, load: Load) -> None:
    """Float sums of GPUs and of busy servers differ from time to time."""
    server = start()
    first, pixels = load(server), images(4)
    scores = first.predict(pixels).logits
    server.network = lambda inputs: lenet(inputs) + np.float32(3e-6)
    again = load(server)
    assert again.fingerprint == first.fingerprint
    assert torch.equal(again.predict(pixels).logits, scores)
    assert "within" in again.engine.why


@pytest.mark.parametrize(
    ("layout", "shape"),
    [("NCHW", (-1, 1, 28, 28)), ("NHWC", (-1, 28, 28, 1)), ("flat", (-1, 784))],
)
@pytest.mark.parametrize("told", ["by the server", "by the description"])
def test_any_layout(start: Start, load: Load, layout: str, shape: tuple[int, ...], told: str) -> None:
    seen: list[tuple[int, ...]] = []

    def network(inputs: Floats) -> Floats:
        seen.append(inputs.shape[1:])
        return lenet(inputs.reshape(-1, 1, 28, 28))

    by_server = told == "by the server"
    server = start(network, shape=[*shape] if by_server else None)
    served = load(server, described={} if by_server else {"layout": layout})
    assert torch.equal(served.predict(images(BATCH)).logits, local().predict(images(BATCH)).logits)
    assert {*seen} == {shape[1:]}


def test_colours_are_laid_out_and_normalised_as_described(start: Start, load: Load) -> None:
    seen: list[Floats] = []

    def network(inputs: Floats) -> Floats:
        seen.append(inputs)
        return inputs.reshape(len(inputs), -1)[:, :2].astype(np.float64)

    server = start(network, shape=[-1, 8, 8, 3], datatype="FP64")
    described = {"classes": ["a", "b"], "input_size": 8, "channels": 3, "mean": [0, 0.5, 1], "std": 0.5}
    served = load(server, described=described)
    pixels = torch.randint(256, (1, 3, 8, 8), dtype=torch.uint8)
    found = served.predict(pixels).logits
    expected = (pixels.float() / 255 - torch.tensor([0, 0.5, 1]).view(3, 1, 1)) / 0.5
    assert seen[-1].dtype == np.float64
    assert np.array_equal(seen[-1][0], expected[0].permute(1, 2, 0).double().numpy())
    assert torch.equal(found[0], expected[0, :2, 0, 0])


def test_bytes_for_networks_that_take_bytes(start: Start, load: Load) -> None:
    def network(inputs: Floats) -> Floats:
        assert inputs.dtype == np.uint8
        return lenet(inputs.astype(np.float32) / np.float32(255))

    served = load(start(network, shape=[-1, 1, 28, 28], datatype="UINT8", binary=True))
    found = served.predict(images(BATCH)).probabilities
    torch.testing.assert_close(found, local().predict(images(BATCH)).probabilities, rtol=1e-4, atol=1e-6)
    with pytest.raises(NetworkError, match="takes bytes"):
        load(start(network, shape=[-1, 1, 28, 28], datatype="UINT8"), described={"mean": 0.5})


def test_probabilities_of_scikit_learn(start: Start, load: Load) -> None:
    """Float64 under the name `predict_proba`, which must be asked for."""
    data = load_mnist("test")
    pixels = (data.images[:500].reshape(500, -1) / 255).numpy()
    model = LogisticRegression(C=0.01, tol=0.01).fit(pixels, data.labels[:500].numpy())
    server = start(model.predict_proba)
    described = {"layout": "flat", "output": "predict_proba", "outputs": "softmax"}
    found = load(server, described=described).predict(data.images[:BATCH]).probabilities
    expected = model.predict_proba(pixels[:BATCH])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-7)
    with pytest.raises(NetworkError, match="look like those of a softmax"):
        load(server, described={**described, "outputs": None}).predict(data.images[:1])


def test_the_server_says_how_many_images_it_takes(start: Start, load: Load) -> None:
    assert load(start(most=4)).batch_size == 4
    assert load(start(most=64)).batch_size == BATCH
    assert load(start(shape=[2, 1, 28, 28])).batch_size == 2
    assert load(start(), batch_size=7).batch_size == 7
    for settings, said in (
        ({"most": 4}, "4 images at most"),
        ({"shape": [2, 1, 28, 28]}, "2 images a request"),
    ):
        with pytest.raises(NetworkError, match=rf"network\.batch_size: got 8 .* takes {said}"):
            load(start(**settings), batch_size=8)


def test_a_budget_is_never_exceeded_and_answers_stay(start: Start, load: Load) -> None:
    server = start()
    served, pixels = load(server, budget=3 * BATCH), images(3 * BATCH)
    with pytest.raises(
        BudgetSpentError, match=r"48 queries .* exceed network\.budget \(48\).*raise the budget"
    ):
        served.predict(pixels)
    assert server.queries == 3 * BATCH
    assert torch.equal(served.predict(pixels[:BATCH]).logits, local().predict(pixels[:BATCH]).logits)
    with pytest.raises(BudgetSpentError):
        load(server, budget=3 * BATCH)
    more = load(server, budget=6 * BATCH)
    assert torch.equal(more.predict(pixels).logits, local().predict(pixels).logits)
    assert server.queries == more.ledger.asked == 5 * BATCH


def test_a_rate_is_kept_by_all_together(start: Start, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask: the pauses are what they would be for one."""
    pauses: list[float] = []
    clock = 1e9

    def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("islands.classifiers.query_ledger.time.time", lambda: clock)
    monkeypatch.setattr("islands.classifiers.query_ledger.time.sleep", sleep)
    server = start()
    served = [load(server, queries_per_second=4) for _ in range(2)]
    for i, each in enumerate(served):
        each.predict(images(BATCH, seed=i))
    assert [each for each in pauses if each > 0] == [BATCH / 4, 2 * BATCH / 4, 3 * BATCH / 4]


@pytest.mark.parametrize(
    "fault",
    [Fault(500, b"boom"), Fault(503), Fault(429, headers={"Retry-After": "0"}), Fault(drop=True)],
    ids=["500", "503", "429", "hung up"],
)
def test_what_passes_is_tried_again_and_counted(start: Start, load: Load, fault: Fault) -> None:
    server = start()
    served = load(server)
    server.faults.extend([fault, fault])
    assert torch.equal(served.predict(images(BATCH)).logits, local().predict(images(BATCH)).logits)
    assert served.ledger.asked == server.queries == (1 + 3) * BATCH


def ready_soon(start: Start) -> Server:
    """Return a server that is there in a moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    holder: list[Server] = []
    threading.Timer(0.5, lambda: holder.append(start(port=port))).start()
    return Server(lenet, url=f"http://127.0.0.1:{port}")


def test_a_server_that_starts_is_waited_for(
    start: Start, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        inference_protocol,
        "AT_FIRST",
        inference_protocol.AT_FIRST.new(total=40, backoff_factor=0.1, backoff_max=0.1),
    )
    assert load(ready_soon(start)).classes == local().classes


WRONG: dict[str, tuple[Fault, str]] = {
    "plain text": (
        Fault(500, b"Traceback\n  ValueError: no"),
        r"answers 500: Traceback ValueError: no; expected",
    ),
    "an error in JSON": (Fault(422, b'{"error": "too\\nlarge"}'), r"answers 422: too large; expected"),
    "200 with an error": (
        Fault(200, b'{"error": "out of memory"}'),
        "the server says 'out of memory'; expected",
    ),
    "no JSON": (Fault(200, b"<html>hello</html>"), "got '<html>hello</html>' for an answer; expected JSON"),
    "a list": (Fault(200, b"[]"), "for an answer; expected JSON"),
    "nothing": (Fault(200, b"{}"), "got the outputs of none; expected one"),
    "two outputs": (
        Fault(200, b'{"outputs": [{"name": "a"}, {"name": "b"}]}'),
        "the outputs a, b; expected one",
    ),
    "labels": (
        Fault(200, b'{"outputs": [{"name": "predict", "datatype": "INT64", "shape": [16], "data": []}]}'),
        "the output predict of type INT64; expected floats: .* predict_proba",
    ),
    "one row": (
        Fault(200, b'{"outputs": [{"name": "s", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}'),
        r"got 2 numbers of shape \[1, 2\] as the output s; expected 16 rows",
    ),
    "no numbers": (
        Fault(200, b'{"outputs": [{"name": "s", "datatype": "FP32", "shape": [16], "data": ["a"]}]}'),
        "the output s that is no table of numbers; expected",
    ),
    "too much": (Fault(200, b" " * 2_000_000), "an answer of more than .* bytes; expected"),
    "elsewhere": (
        Fault(307, headers={"Location": "http://192.0.2.1/v2"}),
        "sends us on to 'http://192.0.2.1/v2', where nobody is asked",
    ),
    "forbidden": (Fault(403), rf"asks for a token \(403\); set {TOKEN}"),
    "forgotten": (Fault(404), r"has no network 'digits' \(404\); expected"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_in_a_line(start: Start, load: Load, wrong: str) -> None:
    server = start()
    served = load(server)
    fault, said = WRONG[wrong]
    server.faults.extend([fault] * 20)
    with pytest.raises(NetworkError, match=said) as refusal:
        served.predict(images(1))
    assert "\n" not in str(refusal.value)
    server.faults.clear()
    assert torch.equal(served.predict(images(BATCH)).logits, local().predict(images(BATCH)).logits)


def test_another_number_of_classes_is_told(start: Start, load: Load) -> None:
    served = load(start(), described={"classes": ["a", "b"]})
    with pytest.raises(NetworkError, match=r"outputs of shape \(1, 10\); expected \(1, 2\)"):
        served.predict(images(1))


@pytest.mark.parametrize("binary", [False, True], ids=["JSON", "binary"])
def test_scores_that_are_not_finite_are_told_or_skipped(start: Start, load: Load, binary: bool) -> None:
    def network(inputs: Floats) -> Floats:
        scores = lenet(inputs)
        scores[inputs.reshape(len(inputs), -1).mean(1) == 1] = np.nan
        return scores

    server, pixels = start(network, binary=binary), images(3)
    pixels[1] = 255
    with pytest.raises(NetworkError, match="not finite to 1 of 3 pictures"):
        load(server).predict(pixels)
    finite = load(server, not_finite="skip").predict(pixels).finite
    assert finite.tolist() == [True, False, True]
    assert load(server).fingerprint == load(server).fingerprint


def test_a_server_that_is_too_slow(start: Start, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start()
    served = load(server)
    monkeypatch.setattr(served._client._pool, "connection_pool_kw", {"timeout": urllib3.Timeout(read=0.05)})
    served._client._pool.clear()
    server.faults.extend([Fault(delay_s=0.5)] * 20)
    with pytest.raises(
        NetworkError, match=r"does not answer in time .*; expected .* lower network\.batch_size"
    ):
        served.predict(images(1))


def test_a_server_that_is_gone(start: Start, load: Load) -> None:
    with serving(lenet) as server:
        served = load(server)
    # The thread of an open connection outlives the server.
    served._client.close()
    with pytest.raises(NetworkError, match=r"does not answer \(.*refused\); start the server"):
        served.predict(images(1))
    with pytest.raises(NetworkError, match=r"does not answer \(.*refused\); start the server"):
        load(server)


def test_a_token_comes_from_the_environment(
    start: Start, load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = start(token="s3cret-word")
    with pytest.raises(NetworkError, match=rf"asks for a token \(401\); set {TOKEN} .* ask its owner first"):
        load(server)
    monkeypatch.setenv(TOKEN, "wrong")
    with pytest.raises(NetworkError, match=f"refuses the token in {TOKEN}"):
        load(server)
    monkeypatch.setenv(TOKEN, "s3cret-word")
    served = load(server)
    served.predict(images(1))
    kept = [file.read_bytes() for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert not any(b"s3cret-word" in data for data in kept)
    assert "s3cret-word" not in repr(conditions(served))


def test_no_proxy_is_asked(start: Start, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:9")
    load(start()).predict(images(1))


def test_a_network_that_is_not_there(start: Start, load: Load) -> None:
    server = start()
    with pytest.raises(NetworkError, match="has no network 'other' that is ready"):
        load(Server(lenet, name="other", url=server.url))


def test_versions_have_an_address_of_their_own() -> None:
    found = served_name("kserve:https://models.example.org/ns/one/digits/versions/3")
    assert (found.base, found.model, found.version) == ("https://models.example.org/ns/one", "digits", "3")
    assert found.path == "/v2/models/digits/versions/3"
    plain = served_name("kserve:http://[::1]:8080/digits")
    assert (plain.base, plain.path, plain.host) == ("http://[::1]:8080", "/v2/models/digits", "::1")
    assert ledger_path(found) != ledger_path(plain)


@pytest.mark.parametrize(
    "name",
    [
        "kserve:http://example.org",
        "kserve:ftp://example.org/a",
        "kserve:http://example.org:0/a",
        "kserve:http://example.org:x/a",
        "kserve:http://127.0.0.1:8080/v2/models/a",
        "kserve:http://127.0.0.1/a?b=c",
        "kserve:http://someone:word@127.0.0.1/a",
        "kserve:digits",
    ],
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(NetworkError, match=r"network\.name: got .*; expected") as refusal:
        load_classifier(name, device=CPU)
    assert "word" not in str(refusal.value)


class Nobody:
    """Takes note of the hosts that anybody looks for; all of them are this machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: str, *rest: Any, **settings: Any) -> Any:
        self.asked.append(host)
        return self._real("127.0.0.1", *rest, **settings)


HOSTS = [
    "example.org",
    "192.0.2.1",
    "[2001:db8::1]",
    "127.0.0.1.example.org",
    "localhost.example.org",
    "0.0.0.0",
]


@pytest.mark.parametrize("host", HOSTS)
def test_nobody_else_is_asked_unless_named(
    host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nobody = Nobody(monkeypatch)
    with pytest.raises(
        NetworkError, match=r"only this machine is asked .* --allow-host .* ask its owner first"
    ):
        load_classifier(f"kserve:http://{host}/digits", device=CPU)
    assert not nobody.asked
    assert not (tmp_path / "cache").exists()


def test_a_host_that_is_named_is_asked(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, nobody = start(), Nobody(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits.json").write_text(json.dumps(DIGITS))
    name = f"kserve:{server.url.replace('127.0.0.1', 'Models.example.org')}/digits"
    islands.allow_hosts(["models.example.ORG"])
    assert load_classifier(name, device=CPU).classes == local().classes
    assert {*nobody.asked} == {"models.example.org"}
    monkeypatch.setenv(TOKEN, "word")
    with pytest.raises(NetworkError, match="in the clear; expected https"):
        load_classifier(name, device=CPU)
    islands.allow_hosts([])
    with pytest.raises(NetworkError, match="only this machine"):
        load_classifier(name, device=CPU)


@pytest.mark.parametrize("host", ["http://example.org", "example.org:80", "a b", "", "a/b"])
def test_hosts_that_are_none(host: str) -> None:
    with pytest.raises(NetworkError, match="--allow-host: got"):
        allow_hosts([host])


@pytest.mark.parametrize(
    ("described", "said"),
    [
        (None, "digits.json: the description of the network is missing"),
        ("[]", "is no JSON object"),
        ('{"classes": ["a", "b"]}', "without input_size"),
        (
            '{"classes": ["a", "b"], "input_size": 8, "layout": "CHW"}',
            "got layout 'CHW'; expected one of NCHW",
        ),
        (
            '{"classes": ["a", "b"], "input_size": 8, "datatype": "INT8"}',
            "got datatype 'INT8'; expected one of FP32",
        ),
        ('{"classes": ["a", "b"], "input_size": 8, "output": 3}', "got output 3; expected a name"),
        (
            '{"classes": ["a", "b"], "input_size": 8, "outputs": "odds"}',
            "got outputs 'odds'; expected one of logits",
        ),
    ],
)
def test_descriptions_that_do_not_do(
    described: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if described is not None:
        (tmp_path / "digits.json").write_text(described)
    with pytest.raises(NetworkError, match=re.escape(said)):
        load_classifier("kserve:http://127.0.0.1:9/digits", device=CPU)


def test_a_shape_that_is_not_as_described(start: Start, load: Load) -> None:
    with pytest.raises(
        NetworkError, match=r"input of shape \[-1, 3, 32, 32\], which .* has as \[-1, 1, 28, 28\]"
    ):
        load(start(shape=[-1, 3, 32, 32]))


def test_settings_that_do_not_fit(start: Start, load: Load) -> None:
    server = start()
    for settings in ({"precision": "bfloat16"}, {"engine": "torch"}, {"screen": "bfloat16"}):
        with pytest.raises(NetworkError, match=r"for a served one; expected float32 and auto"):
            load(server, **settings)
    for key, value in {"description": "x.json", "budget": 5, "queries_per_second": 2.0}.items():
        with pytest.raises(NetworkError, match=rf"network\.{key}: got .* takes none"):
            load_classifier("lenet-mnist", device=CPU, **{key: value})  # type: ignore[arg-type]


def test_combinations_ask_as_well(start: Start, load: Load, tmp_path: Path) -> None:
    server = start()
    load(server)
    name = f"ensemble:kserve:{server.url}/digits+lenet-mnist"
    assert served_parts(name) == [f"kserve:{server.url}/digits"]
    assert not is_ours(name)
    assert parse_network(f"kserve:{server.url}/digits")[0] == "kserve"
    path = str(tmp_path / "description.json")
    found = load_classifier(name, description=path, device=CPU).predict(images(BATCH)).probabilities
    expected = local().predict(images(BATCH)).probabilities
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    hidden = load_classifier(f"label-only:kserve:{server.url}/digits", description=path, device=CPU)
    assert hidden.predict(images(BATCH)).probabilities.sum() == BATCH


def test_it_has_no_gradients_and_says_what_runs_it(start: Start, load: Load) -> None:
    served = load(start(binary=True), budget=400, queries_per_second=1e6)
    with pytest.raises(NetworkError, match="without gradients"):
        require_differentiable(served)
    found = conditions(served)
    assert found["engine"] == "tests 1, binary"
    assert found["batch_size"] == BATCH
    assert "instructions" not in found
    assert re.match(
        r"16 asked .* the budget is 400, at most 1e\+06 a second; .* ask its owner", served.queries
    )
