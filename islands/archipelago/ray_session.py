"""Connecting to Ray, or starting it, and reserving what the workers need."""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from islands.folders import ensure_home, is_writable

_MODE, _TOKENS = "RAY_AUTH_MODE", ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def prepare_environment() -> bool:
    """Set what Ray reads once, when it is imported; return whether authentication is ours to choose.

    Ray listens on all interfaces, so clusters that we start ask for a token. Where there is none, Ray 2.60
    aborts in token mode, or writes one to the home directory, which changes every later `ray start`; ours
    lasts as long as this process.
    """
    if "ray" in sys.modules:
        return False
    ensure_home()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray would start a process for each CPU beforehand, and as many again once workers have taken those.
    os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    # Ray's own way to silence the lines of its autoscaler.
    os.environ.setdefault("RAY_SCHEDULER_EVENTS", "0")
    chosen_here = _MODE not in os.environ
    has_token = any(name in os.environ for name in _TOKENS) or (Path.home() / ".ray" / "auth_token").exists()
    if os.environ.setdefault(_MODE, "token") == "token" and not has_token:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    return chosen_here


_mode_is_ours = prepare_environment()

import ray
from ray._raylet import Config  # type: ignore[attr-defined]
from ray.exceptions import AuthenticationError

from islands.config import RayConfig, ScorersConfig, WorkersConfig
from islands.errors import ConfigError

_log = logging.getLogger(__name__)

_LONGEST_FOLDER = 32
"""Bytes that the name of a folder for Ray's sockets may have."""


def connect(config: RayConfig, workers: WorkersConfig, scorers: ScorersConfig | None = None) -> bool:
    """Connect to Ray; return whether this call did it, so that the caller has to disconnect.

    A local Ray is started with the CPUs that workers, and scorers where there are any, ask for.

    Raises:
        ConfigError: nothing answers at the address.
    """
    if ray.is_initialized():
        return False
    if config.address == "local":
        asking = f"workers: {workers.count} workers of {workers.cpus:g} CPUs"
        asked = workers.count * workers.cpus
        if scorers is not None and scorers.cpus:
            asking += f" and {scorers.count} scorers of {scorers.cpus:g}"
            asked += scorers.count * scorers.cpus
        cpus = math.ceil(asked)
        if cpus > _cpus_here():
            raise ConfigError(
                f"{asking} ask for {cpus}; this machine has {_cpus_here()}: lower workers.count or "
                "workers.cpus, or join a cluster with ray.address"
            )
        # A bare `init` would join what RAY_ADDRESS names, or the cluster that Ray has noted on this machine.
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            _temp_dir=_folder_for_sockets(),
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        return True
    if config.is_job_server:
        raise ConfigError(
            f"ray.address: {config.address} takes jobs; submit one with `islands launch` or `islands "
            "resume`, or join the cluster at HOST:6379"
        )
    if config.address != "auto":
        _probe(config.address.removeprefix("ray://"))
    if not config.address.startswith("ray://"):
        _authenticate_as_asked(config.address)
    try:
        # Without num_cpus, which Ray refuses where it connects. What workers print stays off stdout, which a
        # program may read.
        ray.init(address=config.address, log_to_driver=False, logging_level=logging.ERROR)
    except AuthenticationError as error:
        raise refused(config.address) from error
    except ConnectionError as error:
        if "Initialization failure" in str(error):
            raise _client_server_failed(config.address, error) from None
        raise _unreachable(config.address, error) from None
    return True


def _folder_for_sockets() -> str | None:
    """Return where a Ray of this machine keeps its sockets; None: where it likes, among the temporary files.

    The name of a socket has at most 107 bytes (macOS: 103), and Ray puts 60 to 70 behind the folder's.

    Raises:
        ConfigError: there is none with a short name that can be written.
    """
    chosen = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or tempfile.gettempdir()
    if len(os.fsencode(chosen)) <= _LONGEST_FOLDER and is_writable(Path(chosen)):
        return None
    for folder in ("/tmp", "/var/tmp", "/dev/shm"):
        if is_writable(Path(folder)):
            return f"{folder}/ray"
    raise ConfigError(
        f"TMPDIR: got {chosen}, which cannot be written, or whose name is too long for Ray's sockets; set "
        f"RAY_TMPDIR to a folder that can be, with a name of at most {_LONGEST_FOLDER} bytes"
    )


def _cpus_here() -> int:
    """Return the CPUs that this process may use."""
    # Under taskset or a batch system these are fewer than the machine has.
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return usable or 1


def _probe(address: str) -> None:
    """Fail at once where Ray would go on trying for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(
            f"ray.address: got {address!r}; expected local, auto, HOST:PORT, "
            "ray://HOST:PORT or http://HOST:PORT"
        )
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError as error:
        raise _unreachable(address, error) from None


def _authenticate_as_asked(address: str) -> None:
    """Use a token where the cluster asks for one, and nowhere else.

    A driver with a token on a cluster that does not ask (Ray 2.60) loses its actors: their calls to the
    driver carry no token. One without on a cluster that asks is refused after half a minute of log lines.
    """
    asks = not _is_let_in(address, "disabled")
    if asks and not (os.environ[_MODE] == "token" and _is_let_in(address, "token")):
        raise refused(address)
    if not asks and os.environ[_MODE] == "token":
        if not _mode_is_ours:
            raise ConfigError(
                f"ray.address: the cluster at {address} asks for no token, and our workers there would "
                "have none; unset RAY_AUTH_MODE"
            )
        os.environ[_MODE] = "disabled"
        warn_if_open(address)
        # What Ray itself calls when the mode changes after its import.
        Config.initialize("")


def warn_if_open(address: str) -> None:
    """Tell that a cluster without authentication takes code from whoever reaches it, unless only we do."""
    if not any(local in address for local in ("127.0.0.1", "localhost", "[::1]")):
        _log.warning(
            "the Ray cluster at %s asks for no token: whoever reaches its ports can run code there; start "
            "its head with RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or close the ports to others",
            address,
        )


def _is_let_in(address: str, mode: str) -> bool:
    """Tell whether a cluster takes no offence at us; also true where there is none."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check"]
    command += [] if address == "auto" else ["--address", address]
    # In another process, since Ray reads the mode once, when it is imported.
    environment = {**os.environ, _MODE: mode}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return "AuthenticationError" not in done.stderr


def refused(address: str) -> ConfigError:
    """Return the error for a cluster that does not know our token."""
    return ConfigError(
        f"ray.address: the cluster at {address} asks for a token, and ours is not the one; set "
        "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the token that its head was started with"
    )


def _unreachable(address: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"ray.address: no Ray cluster answers at {address!r} ({error}); start one there with `ray start "
        "--head`, set RAY_AUTH_TOKEN if it asks for a token, or use `local`"
    )


def _client_server_failed(address: str, error: Exception) -> ConfigError:
    """Return the error for a cluster whose server of clients (Ray 2.60) could not start ours.

    It forks while gRPC's threads run, whose handlers of forks then hang or end the new process.
    """
    reason = str(error).strip().splitlines()[-1]
    return ConfigError(
        f"ray.address: Ray's client server at {address} failed ({reason}); try again, start its head with "
        "GRPC_ENABLE_FORK_SUPPORT=0 in its environment, or join the cluster at HOST:6379"
    )
