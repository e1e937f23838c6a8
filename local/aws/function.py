"""A function: as many instances as there are events at once, up to a bound."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import suppress
from typing import Any, NamedTuple

from local.aws.http_events import encoded
from local.aws.instance import Definition, Instance
from local.aws.records import Observer, Record, Source, nobody
from local.aws.runtime_api import MOST_BYTES, Answer

DIRECT = Source("invoke")


class Throttled(Exception):
    """All instances are busy, and there may be no more."""


class PayloadTooLarge(Exception):
    """An event is larger than Lambda takes."""


class Invoked(NamedTuple):
    """What came of one event, and where in the function's log its output is, in bytes."""

    answer: Answer
    record: Record
    log_span: tuple[int, int]


class Function:
    """Hands events to instances. Thread-safe.

    ``cold``: every event gets a process of its own, which is killed after it. ``prepared`` of them, which have
    initialised and then wait frozen, are kept ready, so that an event need not wait for its process to come up.
    Other instances are let go after ``idle_seconds``. ``observer`` is told of every invocation, in its thread.
    """

    def __init__(
        self,
        definition: Definition,
        *,
        cold: bool = False,
        prepared: int = 0,
        idle_seconds: float = 300,
        observer: Observer = nobody,
    ) -> None:
        self.definition = definition
        self.observe = observer
        self._cold = cold
        self._prepared = prepared if cold else 0
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._idle: list[Instance] = []
        self._busy: set[Instance] = set()
        self._closed = threading.Event()
        self._prepare()
        if not cold:
            threading.Thread(target=self._recycle_in_time, daemon=True).start()

    @property
    def pids(self) -> list[int]:
        """The processes that there are now."""
        with self._lock:
            return [instance.pid for instance in [*self._busy, *self._idle] if not instance.has_ended]

    @property
    def busy(self) -> int:
        """How many events are being handled."""
        with self._lock:
            return len(self._busy)

    def invoke(self, event: Any, source: Source = DIRECT) -> Answer:
        """Have one event handled, and tell the observer; ``error`` tells of a function that failed.

        Raises ``Throttled`` above the bound, ``PayloadTooLarge``.
        """
        invoked = self.handle(encoded(event), source)
        self.observe(invoked.record)
        return invoked.answer

    def handle(self, payload: bytes, source: Source, request_id: str = "") -> Invoked:
        """The same for an event as JSON, for callers who tell the observer themselves; throttling is told here.

        ``request_id`` is a new one unless given.
        """
        if len(payload) > MOST_BYTES:
            raise PayloadTooLarge(f"Request must be smaller than {MOST_BYTES} bytes for the InvokeFunction operation")
        request_id = request_id or str(uuid.uuid4())
        try:
            instance = self._take()
        except Throttled:
            self.observe(Record(self.definition.name, request_id, source, "throttled"))
            raise
        log_from, cold = self._log_size(), not instance.was_used
        try:
            self._prepare()
            failed = instance.initialise(self.definition.init_seconds, request_id)
            init_ms = instance.init_ms if cold and not failed else None
            began = time.perf_counter()
            if failed:  # Lambda tries once more, and now it counts as the event's time
                instance = self._replace(instance)
                failed = instance.initialise(self.definition.timeout, request_id)
            left = self.definition.timeout - (time.perf_counter() - began)
            answer = failed or instance.invoke(payload, request_id, left)
            seconds = time.perf_counter() - began
        finally:
            self._give_back(instance)
        record = Record(
            function=self.definition.name,
            request_id=request_id,
            source=source,
            status=answer.status,
            duration_ms=1000 * seconds,
            cold=cold,
            init_ms=init_ms,
            memory_mb=self.definition.memory_mb,
            max_memory_mb=instance.memory.peak_mb,
            error_type=answer.described("errorType"),
            error_message=answer.described("errorMessage"),
            pid=instance.pid,
        )
        return Invoked(answer, record, (log_from, self._log_size()))

    def initialise(self) -> Answer | None:
        """Bring one instance up, for the first event; what an event would be answered when that fails.

        Raises ``Throttled`` for a function that may have no instance.
        """
        instance = self._take()
        try:
            failed = instance.initialise(self.definition.init_seconds, "")
            if failed and failed.timed_out:  # as an event would have it tried once more
                instance = self._replace(instance)
                failed = instance.initialise(self.definition.timeout, "")
            return failed
        finally:
            self._give_back(instance)

    def redeploy(self, definition: Definition) -> None:
        """From the next event on instances are of that definition, and of the code as it is then.

        Those that are idle end now, those at work after their event.
        """
        with self._lock:
            self.definition = definition
            gone, self._idle = self._idle, []
        for instance in gone:
            instance.kill()

    def kill(self) -> None:
        """End all instances at once, in the middle of their events too. The next event gets a new one."""
        with self._lock:
            instances = [*self._idle, *self._busy]
            self._idle.clear()
        for instance in instances:
            instance.kill()

    def close(self) -> None:
        """End all instances for good."""
        with self._lock:
            self._closed.set()
        self.kill()

    def _take(self) -> Instance:
        """An instance for one event: one that is idle, else a new one."""
        with self._lock:
            self._recycle()
            if self._closed.is_set() or len(self._busy) >= self.definition.concurrency:
                raise Throttled(f"{self.definition.name}: Rate Exceeded.")
            # The oldest of those prepared is the one most likely to be ready; the latest of those used is the warmest.
            instance = self._idle.pop(0 if self._cold else -1) if self._idle else Instance(self.definition)
            self._busy.add(instance)
            return instance

    def _replace(self, instance: Instance) -> Instance:
        """A new instance for the same event."""
        with self._lock:
            if self._closed.is_set():
                raise Throttled(f"{self.definition.name} is no more.")
            new = Instance(self.definition)
            self._busy.discard(instance)
            self._busy.add(new)
            return new

    def _give_back(self, instance: Instance) -> None:
        with self._lock:
            self._busy.discard(instance)
            is_stale = instance.definition is not self.definition
            is_over = is_stale or instance.has_ended or (self._cold and instance.was_used)
            if not is_over:
                self._idle.append(instance)
        if is_over:
            instance.kill()

    def _recycle(self) -> None:
        """Let go of what has ended, and of what nobody has needed for long."""
        oldest = time.monotonic() - self._idle_seconds
        for instance in list(self._idle):
            if instance.has_ended or (not self._cold and instance.idle_since < oldest):
                self._idle.remove(instance)
                instance.kill()

    def _recycle_in_time(self) -> None:
        """Not only when there is an event."""
        while not self._closed.wait(min(max(self._idle_seconds / 10, 0.05), 10)):
            with self._lock:
                self._recycle()

    def _prepare(self) -> None:
        with self._lock:
            while len(self._idle) < self._prepared and not self._closed.is_set():
                self._idle.append(Instance(self.definition))

    def _log_size(self) -> int:
        with suppress(OSError):
            return self.definition.log.stat().st_size
        return 0
