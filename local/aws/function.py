"""A function: as many instances as there are events at once, up to a bound."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from local.aws.instance import Definition, Instance
from local.aws.runtime_api import MOST_BYTES, Answer


class Throttled(Exception):
    """All instances are busy, and there may be no more."""


class PayloadTooLarge(Exception):
    """An event is larger than Lambda takes."""


class Function:
    """Hands events to instances. Thread-safe.

    ``cold``: every event gets a process of its own, which is killed after it. ``prepared`` of them, which have
    initialised and then wait frozen, are kept ready, so that an event need not wait for its process to come up.
    """

    def __init__(
        self, definition: Definition, *, cold: bool = False, prepared: int = 0, idle_seconds: float = 300
    ) -> None:
        self.definition = definition
        self._cold = cold
        self._prepared = prepared if cold else 0
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._idle: list[Instance] = []
        self._busy: set[Instance] = set()
        self._closed = False
        self._prepare()

    @property
    def pids(self) -> list[int]:
        """The processes that there are now."""
        with self._lock:
            return [instance.pid for instance in [*self._busy, *self._idle] if not instance.has_ended]

    def invoke(self, event: Any) -> Answer:
        """Have one event handled; ``error`` tells of a function that failed.

        Raises ``Throttled`` above the bound, ``PayloadTooLarge``.
        """
        payload = json.dumps(event, separators=(",", ":")).encode()
        if len(payload) > MOST_BYTES:
            raise PayloadTooLarge(f"Request must be smaller than {MOST_BYTES} bytes for the InvokeFunction operation")
        instance = self._take()
        try:
            self._prepare()
            return instance.invoke(payload)
        finally:
            self._give_back(instance)

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
            self._closed = True
        self.kill()

    def _take(self) -> Instance:
        """An instance for one event: one that is idle, else a new one."""
        with self._lock:
            self._recycle()
            if self._closed or len(self._busy) >= self.definition.concurrency:
                raise Throttled(f"{self.definition.name}: Rate Exceeded.")
            # The oldest of those prepared is the one most likely to be ready; the latest of those used is the warmest.
            instance = self._idle.pop(0 if self._cold else -1) if self._idle else Instance(self.definition)
            self._busy.add(instance)
            return instance

    def _give_back(self, instance: Instance) -> None:
        if self._cold:
            instance.kill()
        with self._lock:
            self._busy.discard(instance)
            if not instance.has_ended:
                self._idle.append(instance)

    def _recycle(self) -> None:
        """Let go of what has ended, and of what nobody has needed for long."""
        oldest = time.monotonic() - self._idle_seconds
        for instance in list(self._idle):
            if instance.has_ended or (not self._cold and instance.idle_since < oldest):
                self._idle.remove(instance)
                instance.kill()

    def _prepare(self) -> None:
        with self._lock:
            while len(self._idle) < self._prepared and not self._closed:
                self._idle.append(Instance(self.definition))
