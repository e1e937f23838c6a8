"""The dispatcher of functions: an SQS queue wakes the worker. A message names a row, which says what is to be done."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from core.background import Background
from core.flavor_updates import RETRY_SECONDS, FlavorUpdate
from core.threads import in_thread
from infra import aws
from infra.crypto import Sealer

log = logging.getLogger(__name__)

SERVICE = "service"
FLAVORS = "flavors"
ATTEMPT = "attempt"
_MOST_ENTRIES = 10
"""SQS takes so many messages with one call."""


class SqsQueue:
    """Sends messages to the worker. A message that cannot be sent is logged: recover finds its row."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def send(self, bodies: Sequence[dict[str, Any]], delay: int = 0) -> None:
        """Send them, to be seen after ``delay`` seconds."""
        for start in range(0, len(bodies), _MOST_ENTRIES):
            await in_thread(self._send_some, bodies[start : start + _MOST_ENTRIES], delay)

    def _send_some(self, bodies: Sequence[dict[str, Any]], delay: int) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        entries = [
            {"Id": str(number), "MessageBody": json.dumps(body), "DelaySeconds": delay}
            for number, body in enumerate(bodies)
        ]
        try:
            failed = aws.client("sqs").send_message_batch(QueueUrl=self._url, Entries=entries).get("Failed", [])
        except (BotoCoreError, ClientError) as error:
            log.error("the worker's queue takes no messages: %s", error)
            return
        for entry in failed:
            log.error("the worker's queue refused a message: %s", entry.get("Message", entry.get("Code")))


class SqsDispatcher:
    """Implements :class:`core.ports.Dispatcher`."""

    def __init__(self, queue: SqsQueue) -> None:
        self._queue = queue

    async def wake(self, service_ids: Sequence[int]) -> None:
        """Have the worker carry these rows on."""
        await self._queue.send([{SERVICE: service_id} for service_id in service_ids])


class SqsUpdates:
    """Has the worker tell hubs their flavors; implements :class:`core.flavor_updates.FlavorUpdates`.

    The token goes with the message, so it is sealed.
    """

    def __init__(self, queue: SqsQueue, sealer: Sealer, background: Background) -> None:
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
