"""Calling what operators write: plain values, functions and coroutine functions alike."""

from __future__ import annotations

import inspect
from typing import Any


async def resolve(value: Any, *args: Any) -> Any:
    """``value`` itself, or what it returns for ``args`` when it is callable, awaited when it is awaitable."""
    if callable(value):
        value = value(*args)
    if inspect.isawaitable(value):
        value = await value
    return value
