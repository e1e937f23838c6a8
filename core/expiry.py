"""Scheduled: stop the services whose run time is over."""

from __future__ import annotations

import logging

from core.ports import Clock, Store, Work
from core.threads import in_thread

log = logging.getLogger(__name__)

_BATCH = 200


async def expire(store: Store, stop_expired: Work, clock: Clock, dry_run: bool = False) -> int:
    """One pass over what has expired, and only over that; how many there were. A dry run only logs them."""
    found = await in_thread(store.expired, clock(), _BATCH)
    if dry_run:
        for identity in await in_thread(store.identities, found):
            log.info("%s - its run time is over; it would be stopped", identity)
        return len(found)
    for service_id in found:
        try:
            await stop_expired(service_id)
        except Exception:  # one row's trouble is its own
            log.exception("the service with id %d could not be stopped at its end", service_id)
    return len(found)
