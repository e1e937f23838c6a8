"""Scheduled: carry on what nobody does any more, so that nothing is lost when a process dies."""

from __future__ import annotations

from datetime import timedelta

from core.ports import Clock, Store, Work
from core.sweeps import sweep
from core.threads import in_thread

PENDING_GRACE = timedelta(seconds=20)
"""A wake-up that has not come by then is taken for lost."""

_BATCH = 200


async def recover(store: Store, carry_on: Work, clock: Clock) -> int:
    """One pass: starts nobody took, starts whose process died, stops that are due again; how many there were."""
    now = clock()
    found = await in_thread(store.unattended, now, now - PENDING_GRACE, _BATCH)
    await sweep(found, carry_on, "recovery")
    return len(found)
