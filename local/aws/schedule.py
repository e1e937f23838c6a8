"""Schedules: functions that EventBridge invokes at certain times."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from local.aws.async_events import AsyncEvents
from local.aws.cron import Expression
from local.aws.http_events import encoded
from local.aws.instance import ACCOUNT, REGION
from local.aws.records import Source
from local.aws.runtime_api import Answer

log = logging.getLogger(__name__)

_LONGEST_WAIT_SECONDS = 60.0
"""After which it looks at the clock again, which may have been set."""

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def rule_arn(name: str) -> str:
    """Of an EventBridge rule."""
    return f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"


def scheduled_event(arn: str, moment: datetime) -> dict[str, Any]:
    """The event of an EventBridge rule, or of an EventBridge Scheduler's schedule, whose ``detail`` is a text."""
    by_scheduler = ":scheduler:" in arn
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler" if by_scheduler else "aws.events",
        "account": ACCOUNT,
        "time": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [arn],
        "detail": "{}" if by_scheduler else {},
    }


class Schedule:
    """Fires the events of one function when an expression is due, in a thread of this process. Late ones are left out.

    A tick is an asynchronous event: it is tried again when it fails, and may overlap with the next one.
    """

    def __init__(
        self,
        name: str,
        expression: Expression,
        events: AsyncEvents,
        *,
        arn: str = "",
        payload: bytes | None = None,
        enabled: bool = True,
        clock: Clock = utc_now,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """``payload`` is the event instead of EventBridge's own. ``wait`` lets seconds pass, and is True at the end."""
        self.name = name
        self._expression = expression
        self._events = events
        self._arn = arn or rule_arn(name)
        self._payload = payload
        self._enabled = enabled
        self._clock = clock
        self._ending = threading.Event()
        self._wait = wait or self._ending.wait
        self._thread = threading.Thread(target=self.run, daemon=True)

    def start(self) -> None:
        """Fire, from now on; nothing when it is disabled. A ``rate`` fires first after one period."""
        if self._enabled:
            self._thread.start()

    def close(self) -> None:
        """No tick comes any more."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(5)

    def tick(self, moment: datetime | None = None) -> Future[Answer | None]:
        """Fire once, now or as of that moment, even if it is disabled. The future's result is as of its last try."""
        event = self._payload or encoded(scheduled_event(self._arn, moment or self._clock()))
        return self._events.submit(event, Source("schedule", self.name))

    def run(self) -> None:
        """Fire until the end."""
        due = self._expression.after(self._clock())
        while due is not None:
            left = (due - self._clock()).total_seconds()
            if left > 0:
                if self._wait(min(left, _LONGEST_WAIT_SECONDS)):
                    return
                continue
            self.tick(due)
            due = self._next(due)

    def _next(self, due: datetime) -> datetime | None:
        """The first one that is not over yet."""
        now = self._clock()
        following = self._expression.after(due)
        while following is not None and following <= now:
            following = self._expression.after(following)
        return following
