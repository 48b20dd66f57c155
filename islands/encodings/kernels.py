"""Compilation of the CPU kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with numba on first use, without the interpreter lock.

    The machine code is kept for later processes where numba finds a directory that it may write to
    (`NUMBA_CACHE_DIR` names another). Float semantics stay strict: equal inputs give equal bits on every
    call.
    """
    # Python's error model would test every divisor, which keeps loops from vectorising.
    try:
        compiled = numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # numba found no writable directory for its cache
        compiled = numba.njit(nogil=True, error_model="numpy")(function)
    return cast("Callable[P, R]", compiled)
