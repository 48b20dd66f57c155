"""The live page: a server of the report that follows a store while it is written."""

from __future__ import annotations

import io
import ipaddress
import json
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from islands.errors import InputError, StoreError, StoreNotFoundError
from islands.evolution.checkpoint import WorkerHealth
from islands.evolution.elites import Arrays
from islands.reports.data import collect
from islands.reports.pace import budget, changed, pace
from islands.reports.page import render
from islands.store.health import in_short, tell
from islands.store.images import Studio, write_png
from islands.store.reader import StoreReader

_REFRESH_S = 1.0
_COOKIE = "islands-token"


class Linked:
    """Pictures that the page asks the server for."""

    def __init__(self, reader: StoreReader) -> None:
        self.studios = [Studio(reader, run) for run in range(reader.runs)]

    def elites(self, genomes: Iterable[tuple[int, int]]) -> list[str]:
        """Return the addresses of elites' pictures."""
        return [f"picture/{run}/{id_}" for run, id_ in genomes]

    def ancestor(self, run: int, id_: int) -> str | None:
        """Return the address of an ancestor's picture; None where its genome was not kept."""
        return f"picture/{run}/{id_}" if id_ in self.studios[run] else None

    def genome(self, run: int, id_: int) -> Arrays | None:
        """Return the arrays of a genome; None where it was not kept."""
        return self.studios[run].genome(id_)


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint: what is asked for comes from here, from the store only pictures of wide genomes.

    Attributes:
        checkpoint: its id; None before the first.
        text: where the run stood.
        data: what the page shows, JSON.
        studios: of each run.
        pace: how fast the run gets on, and what its last commit changed; empty: not known.
        reader: of the checkpoint; None: there is no store yet.
        workers: how each got on until then.
    """

    checkpoint: str | None
    text: str
    data: bytes
    studios: list[Studio]
    pace: str = ""
    reader: StoreReader | None = None
    workers: tuple[WorkerHealth, ...] = ()

    @classmethod
    def of(cls, reader: StoreReader, before: StoreReader | None = None) -> Snapshot:
        """Read what the page shows of a store, whose checkpoint before was read by `before`."""
        if reader.epoch is None:
            return cls(None, "waiting for the first checkpoint", b"null", [])
        links = Linked(reader)
        data = {**collect(reader, lambda _: links), "live": True}
        text = f"generation {data['generation']:,} of {data['generations']:,}"
        told, checkpoints = [changed(before, reader)], reader.checkpoints()
        if not reader.complete:
            told.insert(0, pace(checkpoints, budget(reader)))
        said = "; ".join(filter(None, told))
        workers = checkpoints[-1].workers if checkpoints and not reader.complete else ()
        content = json.dumps(data).encode()
        return cls(reader.session.snapshot_id, text, content, links.studios, said, reader, workers)

    def picture(self, run: int, id_: int) -> bytes | None:
        """Return a PNG of what was scored; None where there is no such genome, or it cannot be read."""
        picture = None
        with suppress(StoreError):
            picture = self.studios[run].draw(id_) if run < len(self.studios) else None
        if picture is None:
            return None
        stream = io.BytesIO()
        write_png(picture, stream)
        return stream.getvalue()


class LiveServer:
    """Serves one store, which may be about to exist; `refresh` takes a new checkpoint in.

    Args:
        location: of the store.
        host: the address to listen at; beyond loopback a token is required.
        port: 0 for any that is free.

    Raises:
        StoreError: the store cannot be read.
        InputError: the address cannot be listened at.
    """

    def __init__(self, location: Path | str, host: str, port: int) -> None:
        self._location = location
        self._trouble: str | None = None
        self._is_written = False
        self.snapshot = Snapshot(None, f"waiting for a store at {location}", b"null", [])
        with suppress(StoreNotFoundError):
            reader = StoreReader(location)
            self._is_written = reader.writer is not None
            self.snapshot = Snapshot.of(reader)
        self.token = None if _is_loopback(host) else secrets.token_urlsafe(24)
        try:
            self._http = _Http((host, port), _Handler)
        except OSError as error:
            raise InputError(
                f"cannot listen at {host}, port {port} ({error.strerror or error});"
                " choose another --port or --host"
            ) from error
        self._http.live = self
        name = f"[{host}]" if ":" in host else host
        suffix = f"/?token={self.token}" if self.token else "/"
        self.address = f"http://{name}:{self._http.server_address[1]}{suffix}"
        self._thread = threading.Thread(target=self._http.serve_forever, name="live-page", daemon=True)
        self._thread.start()

    def refresh(self) -> None:
        """Read the store again if there is a new checkpoint; what cannot be read leaves the old one."""
        try:
            reader = StoreReader(self._location)
            is_new = reader.session.snapshot_id != self.snapshot.checkpoint
            if is_new and (reader.epoch is not None or self.snapshot.checkpoint is None):
                self.snapshot = Snapshot.of(reader, self.snapshot.reader)
            self._is_written = reader.writer is not None
            self._trouble = None
        except StoreError as error:
            if self.snapshot.checkpoint is None and isinstance(error, StoreNotFoundError):
                return
            self._trouble = str(error).partition(";")[0]

    @property
    def state(self) -> bytes:
        """What the page asks for again and again, JSON."""
        doing = ", being written" if self._is_written else ""
        text = self._trouble or self.snapshot.text + doing
        workers, now = self.snapshot.workers, datetime.now(UTC)
        told = {
            "checkpoint": self.snapshot.checkpoint,
            "text": text,
            "pace": self.snapshot.pace,
            "health": in_short(workers, now),
            "workers": tell(workers, now),
        }
        return json.dumps(told).encode()

    def close(self) -> None:
        """Stop answering."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @cached_property
    def page(self) -> bytes:
        """The page, which asks for its data."""
        return render(None).encode()


@contextmanager
def serving(location: Path | str, announce: Callable[[str], None]) -> Iterator[None]:
    """Serve a store on a free port of this machine while something else goes on in the foreground.

    Args:
        location: of the store, which may be about to exist.
        announce: called with the address to open.

    Raises:
        InputError: no port can be listened at.
    """
    server = LiveServer(location, "127.0.0.1", 0)
    stopped = threading.Event()

    def follow() -> None:
        while not stopped.wait(_REFRESH_S):
            server.refresh()

    thread = threading.Thread(target=follow, name="live-store", daemon=True)
    thread.start()
    try:
        announce(server.address)
        yield
    finally:
        stopped.set()
        thread.join()
        server.close()


def serve(location: Path | str, host: str, port: int, announce: Callable[[str, str], None]) -> None:
    """Serve a store until Ctrl-C.

    Args:
        location: of the store.
        host: see `LiveServer`.
        port: see `LiveServer`.
        announce: called with the address to open, once it answers, and where the run stands.

    Raises:
        InputError: see `LiveServer`.
    """
    server = LiveServer(location, host, port)
    # An event, and no KeyboardInterrupt: one that falls into a callback may be lost.
    stopped = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        announce(server.address, server.snapshot.text)
        while not stopped.wait(_REFRESH_S):
            server.refresh()
    finally:
        signal.signal(signal.SIGINT, before)
        server.close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    live: LiveServer

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away: by default a traceback tells of every closed tab."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    server_version = "islands"
    timeout = 30

    def do_GET(self) -> None:
        """Answer with the page, its data or a picture."""
        live = self.server.live
        url = urlsplit(self.path)
        if not self._is_allowed(live, parse_qs(url.query).get("token", [""])[0]):
            self._answer(
                HTTPStatus.FORBIDDEN, "text/plain", b"open the address that `islands view` printed\n"
            )
            return
        snapshot = live.snapshot
        match url.path.strip("/").split("/"):
            case [""]:
                self._answer(HTTPStatus.OK, "text/html; charset=utf-8", live.page)
            case ["state.json"]:
                self._answer(HTTPStatus.OK, "application/json", live.state)
            case ["data.json"]:
                self._answer(HTTPStatus.OK, "application/json", snapshot.data)
            case ["picture", run, id_] if run.isdecimal() and id_.isdecimal():
                content = snapshot.picture(int(run), int(id_))
                if content is None:
                    self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"no such picture\n")
                else:
                    self._answer(HTTPStatus.OK, "image/png", content)
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"no such page\n")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class says so
        """Say nothing: the terminal is the user's."""

    def _is_allowed(self, live: LiveServer, token: str) -> bool:
        if live.token is None:
            # Another site's page must not reach the server by a name of its own that leads here.
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
            return _is_loopback(host)
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get(_COOKIE)
        given = token or (cookie.value if cookie else "")
        return secrets.compare_digest(given.encode(), live.token.encode())

    def _answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        if status is HTTPStatus.OK and self.server.live.token is not None:
            cookie = f"{_COOKIE}={self.server.live.token}; HttpOnly; SameSite=Strict; Path=/"
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(content)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
