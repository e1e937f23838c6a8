"""Scheduled: carry on what nobody does any more, so that nothing is lost when a process dies."""

from __future__ import annotations

import logging
from datetime import timedelta

from core.ports import Clock, Dispatcher, Store
from core.threads import in_thread

log = logging.getLogger(__name__)

_BATCH = 200


async def recover(
    store: Store, dispatcher: Dispatcher, clock: Clock, pending_grace: timedelta, dry_run: bool = False
) -> int:
    """One pass: starts nobody took, starts whose process died, stops that are due again; how many there were.

    They are only handed on, so that one that hangs does not hold up the next pass. A wake-up that has not come
    within ``pending_grace`` is taken for lost. A dry run only logs them.
    """
    now = clock()
    found = await in_thread(store.unattended, now, now - pending_grace, _BATCH)
    if dry_run:
        for identity in await in_thread(store.identities, found):
            log.info("%s - would be carried on", identity)
    else:
        await dispatcher.wake(found)
    return len(found)
