"""Waits for Zarr's coroutines: many small steps side by side take a fraction of one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


async def together(*steps: Awaitable[T]) -> list[T]:
    """Do steps side by side, and return what they give.

    All have ended before the first error is raised: nothing goes on writing behind it.
    """
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results  # type: ignore[return-value]


def wait_for(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine gives, in a loop of its own: in a notebook this thread's loop runs already."""
    with ThreadPoolExecutor(1, thread_name_prefix="zarr") as pool:
        return pool.submit(asyncio.run, coroutine).result()
