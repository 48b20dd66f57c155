"""Two hosts on one machine: network namespaces with shared memory of their own, joined by a virtual cable.

`python -m tests.cluster.two_hosts` runs islands on both, cuts the cable for a while, loses one host, and
prints what came out as JSON. It needs root and the right to make namespaces.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
TOKEN = "ef" * 32
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Host:
    """A host: the process that keeps its namespaces, its address and its end of the cable."""

    namespace: str
    address: str
    link: str
    keeper: int

    def inside(self, *command: str) -> list[str]:
        """Return the command line that runs `command` on this host."""
        return ["nsenter", "--target", str(self.keeper), "--net", "--mount", "--uts", *command]


def why_not() -> str | None:
    """Return why hosts cannot be made here; None if they can."""
    if missing := [name for name in ("ip", "nsenter", "unshare") if shutil.which(name) is None]:
        return f"not installed: {', '.join(missing)}"
    name = f"isl{os.getpid()}t"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "not allowed to make network namespaces"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return None


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Make two hosts that see each other and nothing else; whatever runs on them ends with them."""
    mark = f"isl{os.getpid()}"
    names, links = (f"{mark}a", f"{mark}b"), (f"v{os.getpid()}a", f"v{os.getpid()}b")
    keepers: list[subprocess.Popen[bytes]] = []
    hosts = []
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip("link", "add", links[0], "netns", names[0], "type", "veth", "peer", links[1], "netns", names[1])
        for number, (name, link) in enumerate(zip(names, links, strict=True)):
            address = f"10.231.77.{number + 1}"
            _ip("-n", name, "address", "add", f"{address}/24", "dev", link)
            _ip("-n", name, "link", "set", link, "up")
            _ip("-n", name, "link", "set", "lo", "up")
            setup = f"hostname {name}; mount -t tmpfs tmpfs /dev/shm; echo up; exec sleep infinity"
            keeper = subprocess.Popen(
                ["ip", "netns", "exec", name, "unshare", "--mount", "--uts", "sh", "-c", setup],
                stdout=subprocess.PIPE,
            )
            keepers.append(keeper)
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == b"up\n"
            hosts.append(Host(name, address, link, keeper.pid))
        yield hosts[0], hosts[1]
    finally:
        for name in names:
            lose(name)
        for keeper in keepers:
            keeper.communicate()
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
            shutil.rmtree(f"/tmp/{name}", ignore_errors=True)


def lose(namespace: str) -> None:
    """End every process of a host at once."""
    found = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    for pid in found.stdout.split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue


def set_cable(host: Host, state: str) -> None:
    """Plug the cable in (`up`) or out (`down`)."""
    _ip("-n", host.namespace, "link", "set", host.link, state)


def start_ray(host: Host, *arguments: str, python: str = sys.executable) -> subprocess.Popen[bytes]:
    """Start Ray on a host, with the packages of a Python; it ends with the host."""
    settings = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_prestart_worker_first_driver": "0",
        # Ray's defaults notice a lost host after more than a minute.
        "RAY_health_check_initial_delay_ms": "1000",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "2000",
        "RAY_health_check_failure_threshold": "4",
    }
    folder = f"/tmp/{host.namespace}"
    command = (
        *(python, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"),
        *(f"--node-ip-address={host.address}", f"--temp-dir={folder}", "--object-store-memory=100000000"),
        *arguments,
    )
    return subprocess.Popen(
        host.inside(*command),
        env={**_environment(), **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def drive(host: Host, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start a driver on a host."""
    command = host.inside(sys.executable, "-m", "tests.cluster.two_hosts_driver", *arguments)
    settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    return subprocess.Popen(
        command,
        env={**_environment(), **settings},
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def main() -> None:
    """Print what two hosts, a cut and a loss do to a run."""
    reason = why_not()
    print(json.dumps({"skipped": reason} if reason else play()))


def play(epochs: int = 60, *, timed: bool = True) -> dict[str, object]:
    """Evolve on two hosts with the cable cut for a while and one host lost; return what came out.

    `timed`: evolve undisturbed as well, on two hosts and on one, to compare.
    """
    with ExitStack() as after, two_hosts() as (first, second):
        # What runs on a host ends with it, and is waited for after that.
        after.enter_context(start_ray(first, "--head", "--port=6379", "--num-cpus=1"))
        time.sleep(1)
        after.enter_context(start_ray(second, f"--address={first.address}:6379", "--num-cpus=1"))
        arguments = [f"{first.address}:6379", str(epochs), *(["timed"] if timed else [])]
        driver = after.enter_context(drive(first, arguments))
        return _converse(driver, second)


def _converse(driver: subprocess.Popen[str], host: Host) -> dict[str, object]:
    """Do to `host` what the driver asks for, and return its result."""
    assert driver.stdin is not None
    assert driver.stdout is not None
    said: dict[str, object] = {}
    for line in driver.stdout:
        event, _, value = line.strip().partition(" ")
        if event == "result":  # Ray writes to stdout as well
            said = json.loads(value)
        elif event == "cut":
            set_cable(host, "down")
            time.sleep(1.5)
            set_cable(host, "up")
        elif event == "lose":
            lose(host.namespace)
        if event in ("cut", "lose"):
            driver.stdin.write("done\n")
            driver.stdin.flush()
    assert driver.wait() == 0, "the driver failed"
    return said


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(CHECKOUT)}


if __name__ == "__main__":
    main()
