"""The dispatcher of functions: a queue's messages wake the worker. One names a row, which says what is to be done."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

from core.background import Background
from core.flavor_updates import RETRY_SECONDS, FlavorUpdate
from infra.crypto import Sealer

log = logging.getLogger(__name__)

SERVICE = "service"
FLAVORS = "flavors"
ATTEMPT = "attempt"


class Queue(Protocol):
    """A cloud's queue in front of the worker."""

    async def send(self, bodies: Sequence[dict[str, Any]], delay: int = 0) -> None:
        """Send these messages, to arrive after ``delay`` seconds.

        Never raises: a message that cannot be sent is logged, and recover finds its row.
        """
        ...


class QueueDispatcher:
    """Implements :class:`core.ports.Dispatcher`."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def wake(self, service_ids: Sequence[int]) -> None:
        """Have the worker carry these rows on."""
        await self._queue.send([{SERVICE: service_id} for service_id in service_ids])


class QueueUpdates:
    """Has the worker tell hubs their flavors; implements :class:`core.flavor_updates.FlavorUpdates`.

    The token goes with the message, so it is sealed.
    """

    def __init__(self, queue: Queue, sealer: Sealer, background: Background) -> None:
        self._queue = queue
        self._sealer = sealer
        self._background = background

    def changed(self, update: FlavorUpdate) -> None:
        """Send the message beside the caller."""
        self._background.start(self._queue.send([self._message(update, 0)]), f"flavors of {update.hub}")

    async def again(self, update: FlavorUpdate, attempt: int) -> None:
        """After that many attempts in vain: once more after a pause, or not at all any more."""
        if attempt > len(RETRY_SECONDS):
            log.warning("hub %s - its flavors could not be updated; the next change tries again", update.hub)
            return
        await self._queue.send([self._message(update, attempt)], delay=RETRY_SECONDS[attempt - 1])

    def _message(self, update: FlavorUpdate, attempt: int) -> dict[str, Any]:
        return {FLAVORS: self._sealer.seal(asdict(update)).decode(), ATTEMPT: attempt}

    def opened(self, sealed: str) -> FlavorUpdate:
        """The update in a message. Raises ``Unreadable`` when no key opens it."""
        return FlavorUpdate(**self._sealer.open(sealed.encode()))
