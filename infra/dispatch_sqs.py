"""The worker's queue on AWS: SQS."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from core.threads import in_thread
from infra import aws

log = logging.getLogger(__name__)

_MOST_ENTRIES = 10
"""SQS takes so many messages with one call."""


class SqsQueue:
    """Implements :class:`infra.dispatch_queue.Queue`."""

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
