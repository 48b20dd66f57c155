"""Weights are used only when their checksum is right."""

from __future__ import annotations

import hashlib

from islands.errors import NetworkError


def require_sha256(data: bytes, expected: str, name: str) -> None:
    """Check weights against a sha256, or the beginning of one, in hexadecimal.

    Raises:
        NetworkError: they differ.
    """
    found = hashlib.sha256(data).hexdigest()
    if not found.startswith(expected):
        raise NetworkError(
            f"{name}: got sha256 {found[:12]}, expected {expected[:12]}; the file is damaged: reinstall it"
        )
