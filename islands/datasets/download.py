"""Files fetched from where their project publishes them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from islands.errors import DataError

Received = Callable[[int], None]
"""Told how many bytes of what is being fetched have come so far."""

_CHUNK = 1 << 18
_TIMEOUT_S = 20


def download(
    urls: Sequence[str], target: Path, algorithm: str, digest: str, observe: Received | None = None
) -> None:
    """Fetch a file from the first URL that has it right; `target` appears only whole and checked.

    Args:
        urls: one or more, the same file each.
        target: its folder exists.
        algorithm: a name that `hashlib` knows.
        digest: hexadecimal, or its beginning.
        observe: told how many bytes have come.

    Raises:
        DataError: no URL gave the file; the message says why, for each.
    """
    partial = target.with_name(f"{target.name}.partial")
    reasons = []
    for url in urls:
        try:
            _fetch(url, partial, observe)
            require_digest(partial, algorithm, digest)
            partial.replace(target)
            return
        except DataError:
            reasons.append(f"{url}: got a file with another {algorithm} than {digest[:12]}")
        except (OSError, HTTPException) as error:
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
        finally:
            partial.unlink(missing_ok=True)
    raise DataError("; ".join(reasons))


def require_digest(path: Path, algorithm: str, expected: str) -> None:
    """Check a file.

    Args:
        path: the file.
        algorithm: a name that `hashlib` knows.
        expected: hexadecimal digest, or its beginning.

    Raises:
        DataError: the file has another digest.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if not found.startswith(expected):
        raise DataError(
            f"{path}: got {algorithm} {found[:12]}, expected {expected[:12]}; remove the file and try again"
        )


def _fetch(url: str, target: Path, observe: Received | None) -> None:
    done = 0
    with urlopen(url, timeout=_TIMEOUT_S) as response, target.open("wb") as file:
        while chunk := response.read(_CHUNK):
            done += file.write(chunk)
            if observe is not None:
                observe(done)
        # A connection that ends early looks like the end of the file.
        expected = response.headers.get("Content-Length")
        if expected is not None and done < int(expected):
            raise ConnectionError(f"the connection ended after {done:,} of {int(expected):,} bytes")
