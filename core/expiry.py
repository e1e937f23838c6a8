"""Scheduled: stop the services whose run time is over."""

from __future__ import annotations

from core.ports import Clock, Store, Work
from core.sweeps import sweep
from core.threads import in_thread

_BATCH = 200


async def expire(store: Store, stop_expired: Work, clock: Clock) -> int:
    """One pass over what has expired, and only over that; how many there were."""
    found = await in_thread(store.expired, clock(), _BATCH)
    await sweep(found, stop_expired, "expiry")
    return len(found)
