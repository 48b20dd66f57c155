"""Ray heads on loopback, each with ports and a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Head:
    """A running head: where it takes drivers, clients and jobs."""

    port: int
    client_port: int
    dashboard_port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def client(self) -> str:
        return f"ray://127.0.0.1:{self.client_port}"

    @property
    def jobs(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}"


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def head(environment: Mapping[str, str], cpus: int = 2) -> Iterator[Head]:
    """Run a head with a dashboard; `environment` says how it authenticates."""
    gcs, client, dashboard, agent, agent_grpc, metrics, runtime_env = free_ports(7)
    found = Head(gcs, client, dashboard)
    folder = tempfile.mkdtemp(prefix="isl", dir="/tmp")
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"),
        *("--no-monitor", "--include-log-monitor=false"),
        *("--node-ip-address=127.0.0.1", f"--num-cpus={cpus}", f"--port={gcs}", f"--temp-dir={folder}"),
        *(f"--ray-client-server-port={client}", "--object-store-memory=100000000"),
        *("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"),
        *(f"--dashboard-agent-listen-port={agent}", f"--dashboard-agent-grpc-port={agent_grpc}"),
        *(f"--metrics-export-port={metrics}", f"--runtime-env-agent-port={runtime_env}"),
    ]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    process = subprocess.Popen(
        command,
        # Without the last, Ray's client server fails now and then; see `ray_session`.
        env={
            **inherited,
            "PATH": path,
            "PYTHONPATH": str(CHECKOUT),
            "GRPC_ENABLE_FORK_SUPPORT": "0",
            "RAY_prestart_worker_first_driver": "0",
            **environment,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(found, process)
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(found: Head, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "the head ended"
        try:
            urllib.request.urlopen(f"{found.jobs}/api/version", timeout=5).close()
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):  # it asks for a token: so it is there
                return
        except OSError:
            pass
        else:
            return
        time.sleep(0.3)
    raise AssertionError("the head did not come up")
