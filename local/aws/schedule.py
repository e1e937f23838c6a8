"""Schedules: functions that are invoked every so many seconds."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from local.aws.function import Function, Throttled
from local.aws.instance import ACCOUNT, REGION

log = logging.getLogger(__name__)


def scheduled_event(name: str, moment: datetime) -> dict[str, Any]:
    """The event that EventBridge sends for the rule of that name."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"],
        "detail": {},
    }


class Schedule:
    """Invokes one function every ``seconds``, in a thread of this process. Ticks never overlap; late ones are left out.

    Real schedules know minutes only; a shorter time is for tests.
    """

    def __init__(self, function: Function, seconds: float) -> None:
        """Nothing is invoked before ``start()``."""
        self._function = function
        self._seconds = seconds
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """The first tick comes after one period."""
        self._thread.start()

    def close(self) -> None:
        """No tick comes any more."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(5)

    def _run(self) -> None:
        pause = self._seconds
        while not self._ending.wait(pause):
            began = time.monotonic()
            self._tick()
            pause = max(self._seconds - (time.monotonic() - began), 0)

    def _tick(self) -> None:
        name = self._function.definition.name
        try:
            answer = self._function.invoke(scheduled_event(name, datetime.now(UTC)))
        except Throttled:
            log.info("%s is throttled; its next tick comes", name)
            return
        if answer.error:
            log.warning("%s failed: %s", name, answer.payload.decode(errors="replace"))
