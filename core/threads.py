"""Synchronous store calls run in threads, so that the event loop never waits for a database."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

STORE_THREADS = 4
"""Enough to wait for a database; more would only keep the event loop from its turn, which Python hands around.

Database pools are larger by default: a thread never waits for a connection another one holds.
"""

_executor = ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="store")
_long = ThreadPoolExecutor(1, thread_name_prefix="store-long")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``function`` in one of the store's threads and wait for its result."""
    return await _in(_executor, partial(function, *args, **kwargs))


async def in_long_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for what goes through many rows: one at a time, so that several together hold up nobody else."""
    return await _in(_long, partial(function, *args, **kwargs))


async def _in(executor: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    call = partial(contextvars.copy_context().run, function)
    return await asyncio.get_running_loop().run_in_executor(executor, call)
