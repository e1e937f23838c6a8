"""The scheduled work of a long-lived process; with several replicas each tick runs once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from core import tunnels
from core.errors import StoreUnavailable
from core.threads import in_thread
from handlers import jobs
from infra.wiring import Outpost

log = logging.getLogger(__name__)


Ran = Callable[[str, datetime | None], None]
"""Gets to know that a job was done at that moment, or with None that it failed."""


@dataclass(frozen=True)
class Schedule:
    """A job and its period in seconds."""

    job: str
    seconds: float
    run: Callable[[], Awaitable[int]]
    due: asyncio.Event | None = None
    """Set when the next tick should come at once."""


def schedules(outpost: Outpost) -> list[Schedule]:
    """What runs beside the API, by the settings."""
    settings = outpost.settings
    periods: list[tuple[Callable[[Outpost], Awaitable[int]], float]] = [
        (jobs.recover, settings.lease_seconds / 3),
        (jobs.tunnels, settings.tunnels_seconds),
        (jobs.orphans, settings.orphans_seconds),
    ]
    if settings.check_enddates:
        periods.append((jobs.expire, settings.check_enddates_seconds))
    if jobs.cleanup_is_on(outpost):
        periods.append((jobs.cleanup, settings.cleanup_seconds))
    due = {tunnels.JOB: outpost.tunnels.due}
    return [Schedule(job.__name__, seconds, partial(job, outpost), due.get(job.__name__)) for job, seconds in periods]


async def run_forever(outpost: Outpost, schedule: Schedule, ran: Ran) -> None:
    """Tick until cancelled. A tick that fails is logged, and the next one comes."""
    while True:
        try:
            if await tick(outpost, schedule):
                ran(schedule.job, outpost.clock())
        except StoreUnavailable as error:
            ran(schedule.job, None)
            log.warning("%s waits: %s", schedule.job, error)
        except Exception:  # the next tick may do better
            ran(schedule.job, None)
            log.exception("%s failed", schedule.job)
        await _wait(schedule)


async def _wait(schedule: Schedule) -> None:
    if schedule.due is None:
        await asyncio.sleep(schedule.seconds)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(schedule.seconds):
            await schedule.due.wait()
    schedule.due.clear()


async def tick(outpost: Outpost, schedule: Schedule) -> bool:
    """Run the job once; False when another replica has this tick."""
    now = outpost.clock()
    until = now + timedelta(seconds=schedule.seconds * 0.9)
    if not await in_thread(outpost.store.take_tick, schedule.job, outpost.owner, now, until):
        return False
    if done := await schedule.run():
        log.info("%s: %d services", schedule.job, done)
    return True
