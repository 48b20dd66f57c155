"""Which hosts served networks may be asked at: this machine, and those that whoever runs a command names."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from islands.errors import NetworkError

FLAG = "--allow-host"
"""The option that names a host beside this machine; in Python, `islands.allow_hosts`."""
TOKEN = "ISLANDS_KSERVE_TOKEN"
"""The variable of the environment with a bearer token for servers that ask for one; it is never stored."""
ASK_FIRST = "ask its owner first: a run asks about thousands of images"

_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")
_allowed: set[str] = set()


class ServedName(NamedTuple):
    """Where a network is served.

    Attributes:
        base: scheme, host, port and what comes before `/v2`.
        model: its name there.
        version: of the model; None: the server decides.
        host: without port, in lower case.
    """

    base: str
    model: str
    version: str | None
    host: str

    @property
    def path(self) -> str:
        """The address of the model under `base`."""
        version = "" if self.version is None else f"/versions/{self.version}"
        return f"/v2/models/{self.model}{version}"


def allow_hosts(hosts: Iterable[str]) -> None:
    """Let served networks be asked at these hosts as well, in this process and the workers that it starts.

    They replace those that were allowed before. Ask the owner of a server first: a run asks about thousands
    of images.

    Args:
        hosts: names or addresses, without scheme and port.

    Raises:
        NetworkError: one is no host.

    Example:
        >>> islands.allow_hosts(["models.example.org"])
        >>> islands.allow_hosts([])
    """
    named = [host.lower() for host in hosts]
    if wrong := [host for host in named if not (_NAME.fullmatch(host) or _address(host))]:
        raise NetworkError(f"{FLAG}: got {wrong[0]!r}; expected a host alone, such as models.example.org")
    _allowed.clear()
    _allowed.update(named)


def allowed_hosts() -> list[str]:
    """Return the hosts that were allowed, in order."""
    return sorted(_allowed)


def as_options() -> list[str]:
    """Return the options with which a command allows the same hosts."""
    return [word for host in allowed_hosts() for word in (FLAG, host)]


def served_name(name: str) -> ServedName:
    """Read a name such as `kserve:http://127.0.0.1:8080/digits`, or `…/digits/versions/3`.

    Raises:
        NetworkError: it is none.
    """
    url = urlsplit(name.partition(":")[2])
    if "@" in url.netloc:
        raise NetworkError(
            f"network.name: got a served network with a user before its host; expected none, for names are "
            f"stored: put a token into the environment, as {TOKEN}"
        )
    parts = url.path.strip("/").split("/")
    version = None
    if len(parts) > 2 and parts[-2] == "versions":
        *parts, _, version = parts
    try:
        wrong = url.scheme not in ("http", "https") or not url.hostname or (url.port == 0)
    except ValueError:
        wrong = True
    if wrong or url.query or url.fragment or not parts[-1] or "v2" in parts:
        raise NetworkError(
            f"network.name: got {name!r}; expected kserve:URL/MODEL, such as "
            "kserve:http://127.0.0.1:8080/digits, without /v2/models"
        )
    assert url.hostname is not None
    base = "/".join([f"{url.scheme}://{url.netloc}", *parts[:-1]])
    return ServedName(base, parts[-1], version, url.hostname)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, by its name alone: nobody is asked."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def require_allowed(name: str, served: ServedName) -> None:
    """Check that a served network may be asked.

    Raises:
        NetworkError: it lies on a host that nobody has named; or a token would travel in the clear.
    """
    if is_loopback(served.host):
        return
    if served.host not in _allowed:
        raise NetworkError(
            f"{name}: got a network on {served.host}, and only this machine is asked unless you say "
            f"otherwise; add {FLAG} {served.host}, and {ASK_FIRST}"
        )
    if os.environ.get(TOKEN) and served.base.startswith("http:"):
        raise NetworkError(
            f"{name}: {TOKEN} is set, and would travel to {served.host} in the clear; expected https:// there"
        )


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
