"""What is told of every invocation to whoever watches the functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["http", "sqs", "schedule", "invoke", "async"]
"""``invoke`` waits for its answer, ``async`` does not."""

Status = Literal["success", "error", "timeout", "throttled"]


@dataclass(frozen=True)
class Source:
    """Where an event comes from: ``what`` is for people, such as ``GET /services`` or ``3 messages``."""

    kind: Kind = "invoke"
    what: str = ""


@dataclass(frozen=True)
class Record:
    """One invocation, after its end. Times are in milliseconds. One that was throttled reached no instance."""

    function: str
    request_id: str
    source: Source
    status: Status
    duration_ms: float = 0.0
    cold: bool = False
    """Was it its instance's first event?"""
    init_ms: float | None = None
    """How long that initialised before the event was handed to it."""
    memory_mb: int = 0
    """The limit."""
    max_memory_mb: int = 0
    """The most that the instance has ever had."""
    error_type: str = ""
    error_message: str = ""
    http_status: int | None = None
    """What the client of a front end was answered."""
    pid: int | None = None

    @property
    def billed_ms(self) -> int:
        """What Lambda would charge: the initialisation too, and every millisecond begun."""
        return math.ceil(self.duration_ms + (self.init_ms or 0.0))

    def report(self) -> str:
        """The line that Lambda writes into a function's log."""
        parts = [
            f"REPORT RequestId: {self.request_id}",
            f"Duration: {self.duration_ms:.2f} ms",
            f"Billed Duration: {self.billed_ms} ms",
            f"Memory Size: {self.memory_mb} MB",
            f"Max Memory Used: {self.max_memory_mb} MB",
        ]
        if self.init_ms is not None:
            parts.append(f"Init Duration: {self.init_ms:.2f} ms")
        if self.status != "success" and (self.status == "timeout" or self.error_type.startswith("Runtime.")):
            parts.append(f"Status: {self.status}")
            if self.status == "error":
                parts.append(f"Error Type: {self.error_type}")
        return "\t".join(parts)


Observer = Callable[[Record], None]


def nobody(record: Record) -> None:
    """The observer where nobody watches."""
