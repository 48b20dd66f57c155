"""The live page: a real process, a real browser, a store that grows."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from islands.errors import InputError
from islands.reports.pace import changed, pace
from islands.reports.server import LiveServer
from islands.store.checkpoints import CheckpointInfo
from islands.store.images import render_elite
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter
from tests.archipelago.conftest import Evolution
from tests.reports.conftest import new_store

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def view(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """`islands view` of an empty store, on a free port."""
    with new_store(tmp_path / "run"):
        pass
    command = [sys.executable, "-m", "islands", "view", str(tmp_path / "run"), "--port", "0"]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    yield process, tmp_path / "run"
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "islands", "view", str(tmp_path / "rnu"), "--port", "0"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"serving {tmp_path / 'rnu'} at http://127.0.0.1:")
        assert process.stdout.readline() == f"waiting for a store at {tmp_path / 'rnu'}\n"
        process.kill()


@pytest.mark.slow
def test_a_new_checkpoint_appears_by_itself(
    view: tuple[subprocess.Popen[str], Path], evolution: Evolution, browser: Browser
) -> None:
    process, store = view
    assert process.stdout is not None
    address = process.stdout.readline().split(" at ")[1].split()[0]
    page = browser.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address)
    expect(page.locator("#live")).to_have_text("waiting for the first checkpoint")
    with StoreWriter.open(store) as writer:
        for commit in (evolution.commits[0], evolution.last):
            writer.commit(commit, complete=commit is evolution.last)
            generation = commit.epoch * 4
            expected = f"generation {generation} of 40, being written"
            expect(page.locator("#live")).to_have_text(expected, timeout=20_000)
            expect(page.locator("#kicker")).to_contain_text(f"generation {generation} of 40")
    expect(page.locator(".card")).to_have_count(20)
    page.locator(".card").first.click()
    expect(page.locator("#elite img.shot")).to_be_visible()
    assert (
        page.locator("#elite img.shot").evaluate("image => image.decode().then(() => image.naturalWidth)")
        == 28
    )
    assert troubles == []
    page.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0


def fetch(address: str, headers: dict[str, str] | None = None) -> tuple[int, bytes, str | None]:
    request = urllib.request.Request(address, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), answer.headers.get("Set-Cookie")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), None


def test_pictures_are_what_was_scored(evolved: Path) -> None:
    reader = StoreReader(evolved)
    with closing(LiveServer(evolved, "127.0.0.1", 0)) as server:
        _, data, _ = fetch(f"{server.address}data.json")
        elites, pictures = json.loads(data)["elites"], json.loads(data)["pictures"]
        at = 7
        _, content, _ = fetch(server.address + pictures[elites["genome"][at]])
        with Image.open(io.BytesIO(content)) as image:
            picture = np.asarray(image)
        expected = render_elite(reader, elites["class"][at], elites["run"][at])
        np.testing.assert_array_equal(picture, expected[:, :, 0])
        for missing in ("picture/0/123456789", "picture/9/1", "../../etc/passwd", "picture/0/x"):
            assert fetch(server.address + missing)[0] == 404


def test_beyond_loopback_a_token_is_needed(evolved: Path) -> None:
    with closing(LiveServer(evolved, "0.0.0.0", 0)) as server:
        assert server.token is not None
        address, _, token = server.address.replace("0.0.0.0", "127.0.0.1").partition("?")
        assert token == f"token={server.token}"
        for wrong in ("", "?token=", "?token=wrong"):
            assert fetch(f"{address}state.json{wrong}")[0] == 403
        status, _, cookie = fetch(f"{address}?{token}")
        assert status == 200
        assert cookie is not None
        assert "HttpOnly" in cookie
        assert fetch(f"{address}state.json", {"Cookie": cookie.partition(";")[0]})[0] == 200


def test_other_names_do_not_reach_loopback(evolved: Path) -> None:
    """A page of another site whose name leads to 127.0.0.1 must not read the store."""
    with closing(LiveServer(evolved, "127.0.0.1", 0)) as server:
        assert server.token is None
        assert fetch(server.address, {"Host": "evil.example"})[0] == 403
        assert fetch(server.address, {"Host": "localhost:1"})[0] == 200


def test_a_taken_port_is_told(evolved: Path) -> None:
    with closing(LiveServer(evolved, "127.0.0.1", 0)) as server:
        port = int(server.address.rstrip("/").rpartition(":")[2])
        with pytest.raises(InputError, match="--port"):
            LiveServer(evolved, "127.0.0.1", port)


def test_it_waits_for_a_store_and_says_what_is_new(evolution: Evolution, tmp_path: Path) -> None:
    store = tmp_path / "run"
    with closing(LiveServer(store, "127.0.0.1", 0)) as server:
        server.refresh()
        told = json.loads(fetch(f"{server.address}state.json")[1])
        nothing: dict[str, Any] = {"checkpoint": None, "pace": "", "health": "", "workers": []}
        assert told == {**nothing, "text": f"waiting for a store at {store}"}
        with new_store(store) as writer:
            server.refresh()
            assert json.loads(server.state)["text"] == "waiting for the first checkpoint, being written"
            writer.commit(evolution.commits[0], complete=False)
            server.refresh()
            assert json.loads(server.state)["pace"] == ""
            writer.commit(evolution.commits[3], complete=False)
            server.refresh()
        told = json.loads(server.state)
        assert re.fullmatch(
            r"1 worker: [\d,.]+ images/s, nothing lost, last epoch [\d,.]+ \w+ ago", told["health"]
        )
        assert told["workers"][0][:2] == ["0", "run 0: 0, 1, 2; run 1: 0, 1, 2"]
        said = told["pace"]
        assert re.fullmatch(
            r"[\d,]+ images/s, [\d,.]+ \w+ left; since the last commit \d+ cells taken, median .* % to .* %",
            said,
        )
        first, last = (StoreReader(store, evolution.commits[at].epoch) for at in (0, 3))
        assert changed(first, last) in said
        ids = [[each.cell_columns(run, "id")["id"] for run in range(2)] for each in (first, last)]
        assert f" {(np.array(ids[0]) != np.array(ids[1])).sum()} cells taken" in said
        assert changed(last, last) == ""


def test_what_is_left_is_told_by_the_last_commits() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    commits = [
        CheckpointInfo(str(at), at, start + timedelta(seconds=10 * at), "", 0.0, 1000 * at, ())
        for at in range(4)
    ]
    assert pace(commits, 33_000) == "100 images/s, 5.0 minutes left"
    assert pace(commits[:1], 33_000) == ""


@pytest.mark.slow
def test_a_launch_with_a_page(tmp_path: Path) -> None:
    """The page is there before the store is, and until the run ends."""
    store = tmp_path / "run"
    settings = [f"store={store}", "workers.executor=in-process", "evolve.generations=2000"]
    words = [word for each in settings for word in ("--set", each)]
    command = [sys.executable, "-m", "islands", "launch", "cluster/local.yaml", "--view", *words]
    process = subprocess.Popen(
        [*command, "--progress", "plain"],
        cwd=CHECKOUT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = next(line for line in process.stderr if "live page: " in line)
        address = line.split("live page: ")[1].strip()
        assert fetch(address)[0] == 200
        for _ in range(300):
            if json.loads(fetch(f"{address}state.json")[1])["checkpoint"] is not None:
                break
            time.sleep(0.2)
        assert json.loads(fetch(f"{address}data.json")[1])["network"] == "lenet-mnist"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert StoreReader(store).epoch is not None


def test_a_store_that_cannot_be_read_leaves_the_page_as_it_was(evolved: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(evolved, tmp_path / "run"))
    with closing(LiveServer(store, "127.0.0.1", 0)) as server:
        before = json.loads(server.state)
        store.rename(tmp_path / "away")
        server.refresh()
        lost = json.loads(server.state)
        assert lost["checkpoint"] == before["checkpoint"]
        assert "no store" in lost["text"]
        (tmp_path / "away").rename(store)
        server.refresh()
        assert json.loads(server.state) == before


def test_a_closed_tab_is_no_news(evolved: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whether it goes before it has asked, or in the midst of an answer."""
    with closing(LiveServer(evolved, "127.0.0.1", 0)) as server:
        place = urllib.parse.urlsplit(server.address)
        for asked in (b"GE", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") * 5:
            with socket.create_connection((place.hostname or "", place.port or 0)) as tab:
                # Closed without a word: what is sent to it then is refused.
                tab.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                tab.sendall(asked)
                if asked.endswith(b"\n"):
                    tab.recv(1)
        assert fetch(server.address)[0] == 200
    assert capfd.readouterr().err == ""
