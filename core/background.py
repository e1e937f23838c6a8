"""Work that goes on beside a request: every task is known, awaited and ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextvars import ContextVar

log = logging.getLogger(__name__)

_owner: ContextVar[object | None] = ContextVar("owner", default=None)


def own_tasks() -> None:
    """From here on, what this context and those it begins start is its own: it drains nobody else's tasks."""
    _owner.set(object())


class Background:
    """The tasks of one event loop. A task that fails is logged, never lost."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], object | None] = {}

    def start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Run ``work`` beside the caller."""
        task = asyncio.create_task(work, name=name)
        self._tasks[task] = _owner.get()
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)

    async def drain(self, seconds: float) -> int:
        """Wait for the caller's tasks, at most that long, then cancel the rest; how many were cancelled."""
        if tasks := self._own():
            await asyncio.wait(tasks, timeout=seconds)
        left = self._own()
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)

    def _own(self) -> list[asyncio.Task[None]]:
        return [task for task, owner in self._tasks.items() if owner is _owner.get()]
