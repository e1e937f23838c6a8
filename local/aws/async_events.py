"""Events that nobody waits for: they are tried again, as a function's EventInvokeConfig says."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future

from local.aws.function import Function, PayloadTooLarge, Throttled
from local.aws.records import Source
from local.aws.runtime_api import Answer

log = logging.getLogger(__name__)

MOST_BYTES = 1024 * 1024
"""What Lambda takes in one asynchronous invocation."""

_RETRY_SECONDS = 60.0
"""Before the first retry of an event that failed, and twice that before the second."""

_LONGEST_THROTTLED_SECONDS = 300.0


class AsyncEvents:
    """The events of one function, each in a thread. Those still waiting for a retry are lost with this process."""

    def __init__(
        self,
        function: Function,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        """``clock`` counts seconds, and ``pause`` lets them pass."""
        self._function = function
        self._clock = clock
        self._ending = threading.Event()
        self._pause = pause or self._ending.wait

    def submit(self, payload: bytes, source: Source, request_id: str = "") -> Future[Answer | None]:
        """Have an event handled in time. The future's result is the last answer; None if there never was one.

        Raises ``PayloadTooLarge``.
        """
        if len(payload) > MOST_BYTES:
            raise PayloadTooLarge(f"Request must be smaller than {MOST_BYTES} bytes for the InvokeFunction operation")
        future: Future[Answer | None] = Future()
        arguments = (future, payload, source, request_id or str(uuid.uuid4()))
        threading.Thread(target=self._run, args=arguments, daemon=True).start()
        return future

    def close(self) -> None:
        """Try nothing again any more."""
        self._ending.set()

    def _run(self, future: Future[Answer | None], payload: bytes, source: Source, request_id: str) -> None:
        try:
            future.set_result(self._deliver(payload, source, request_id))
        except Exception as error:  # noqa: BLE001  # whoever waits for the future gets it, and mostly nobody does
            name = self._function.definition.name
            log.error("an event of %s was not handled: %s: %s", name, type(error).__name__, error)
            future.set_exception(error)

    def _deliver(self, payload: bytes, source: Source, request_id: str) -> Answer | None:
        definition = self._function.definition
        began, failures, throttles = self._clock(), 0, 0
        answer: Answer | None = None
        while not self._ending.is_set():
            try:
                invoked = self._function.handle(payload, source, request_id)
                self._function.observe(invoked.record)
                answer = invoked.answer
                if not answer.error or failures >= definition.retry_attempts:
                    break
                failures += 1
                wait = _RETRY_SECONDS * failures
            except Throttled:
                if self._function.definition.concurrency == 0:
                    log.warning("%s is switched off: an event is given up, as Lambda does at once", definition.name)
                    break
                wait = min(2.0**throttles, _LONGEST_THROTTLED_SECONDS)
                throttles += 1
            if self._clock() + wait - began > definition.max_event_age_seconds:
                log.warning("%s: an event is too old to be tried again", definition.name)
                break
            self._pause(wait)
        return answer
