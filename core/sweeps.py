"""Running the same work over many rows: concurrently, and one row's trouble stays its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from core.ports import Work

log = logging.getLogger(__name__)

_AT_ONCE = 20


async def sweep(service_ids: Sequence[int], work: Work, what: str) -> None:
    """``work`` for each id; returns when all have ended. Errors are logged with the row's id."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(service_id: int) -> None:
        async with limit:
            try:
                await work(service_id)
            except Exception:  # the others must go on
                log.exception("%s of the service with id %d failed", what, service_id)

    await asyncio.gather(*(one(service_id) for service_id in service_ids))
