"""What every function does, whichever cloud calls it: work, and leave nothing behind that goes on."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from core.background import own_tasks
from core.logs import request_id
from core.redact import hide
from core.threads import in_thread
from handlers import jobs
from handlers.messages import QueueMessage
from infra.wiring import Outpost
from infra.wiring_functions import FunctionOutpost

log = logging.getLogger(__name__)

T = TypeVar("T")

Job = Callable[[Outpost, bool], Awaitable[int]]
"""One of the scheduled jobs: how many services it concerned, with ``True`` only what it would do."""

MESSAGES_SECONDS = 2.0
"""How long an answer waits for what hubs are being told meanwhile; they may be slow, but not for the caller."""


async def drained(work: Awaitable[T], outpost: Outpost) -> T:
    """Its result, once all that it has started has ended too: the platform freezes what is left."""
    own_tasks()
    try:
        return await work
    finally:
        await outpost.messages.drain(MESSAGES_SECONDS)


async def carry_on(function: FunctionOutpost, messages: list[QueueMessage]) -> list[str]:
    """Do what messages of the worker's queue ask for, all at once; the ids of those that failed."""
    done = await asyncio.gather(*(_is_done(function, message) for message in messages))
    return [message.id for message, is_done in zip(messages, done, strict=True) if not is_done]


async def _is_done(function: FunctionOutpost, message: QueueMessage) -> bool:
    try:
        match message.body:
            case {"service": int(service_id)}:
                await function.outpost.lifecycle.carry_on(service_id)
            case {"flavors": str(sealed), "attempt": int(attempt)}:
                await _tell_flavors(function, sealed, attempt)
            case _:
                log.error("message %s: must be {'service': ID}, or {'flavors': SEALED, 'attempt': N}", message.id)
                return False
    except Exception:  # it comes again, and at last into the dead-letter queue
        log.exception("message %s failed", message.id)
        return False
    return True


async def _tell_flavors(function: FunctionOutpost, sealed: str, attempt: int) -> None:
    update = function.updates.opened(sealed)
    hide([update.token])
    if not await function.outpost.flavor_teller.tell(update):
        await function.updates.again(update, attempt + 1)


async def recover(outpost: Outpost, dry_run: bool) -> int:
    """Carry on what nobody does; now and then, find what hubs have forgotten, and what no row knows."""
    found = await jobs.recover(outpost, dry_run)
    settings = outpost.settings
    if jobs.cleanup_is_on(outpost) and (dry_run or await _is_due(jobs.cleanup, settings.cleanup_seconds, outpost)):
        found += await jobs.cleanup(outpost, dry_run)
    if _has_cluster() and (dry_run or await _is_due(jobs.orphans, settings.orphans_seconds, outpost)):
        found += await jobs.orphans(outpost, dry_run)
    return found


def _has_cluster() -> bool:
    """Else no servers can be listed, and the Spawner need not be imported to say so."""
    return bool(os.environ.get("KUBECONFIG"))


async def _is_due(job: Job, seconds: float, outpost: Outpost) -> bool:
    """It has a period of its own, longer than the schedule's."""
    now = outpost.clock()
    until = now + timedelta(seconds=seconds * 0.9)
    return await in_thread(outpost.store.take_tick, job.__name__, request_id.get(), now, until)
