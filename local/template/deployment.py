"""What a template deploys, as far as it matters on one machine. Times are in seconds.

``place`` is always ``FILE:LINE`` of the template, for errors that are found later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class TemplateError(Exception):
    """The template or a parameter cannot be used; the message is one line, ``FILE:LINE: what is wrong``."""


@dataclass(frozen=True)
class Site:
    """Where a deployment is: what pseudo parameters and the names of resources are made of."""

    endpoint_url: str = "http://127.0.0.1:5000"
    """Of the services that stand in for AWS's; URLs of queues are below it."""
    region: str = "eu-central-1"
    account: str = "123456789012"
    stack_name: str = "outpost"

    @property
    def partition(self) -> str:
        """The part of AWS that the region is in."""
        return next((f"aws-{part}" for part in ("cn", "us-gov") if self.region.startswith(f"{part}-")), "aws")

    def arn(self, service: str, resource: str) -> str:
        """The Amazon Resource Name of something here."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True)
class HttpRoute:
    """Requests at an HTTP API that go to a function; ``method`` ``ANY`` and ``path`` ``$default`` are the rest."""

    api: str
    """The API's logical id."""
    method: str
    """In upper case, or ``ANY``."""
    path: str
    """Such as ``/hubs/{name}`` and ``/files/{path+}``, or ``$default``."""
    timeout: float
    place: str

    @property
    def key(self) -> str:
        """The ``routeKey`` of its events."""
        return self.path if self.path == "$default" else f"{self.method} {self.path}"


@dataclass(frozen=True)
class QueueSource:
    """An event source mapping: a queue's messages become events of a function."""

    logical_id: str
    queue: str
    """The queue's logical id."""
    batch_size: int
    batching_window_seconds: int
    max_concurrency: int | None
    """None: bounded by the function's concurrency only."""
    reports_item_failures: bool
    enabled: bool
    place: str


@dataclass(frozen=True)
class ScheduleSource:
    """Ticks that become events of a function."""

    logical_id: str
    arn: str
    """Of the EventBridge rule or the EventBridge Scheduler's schedule; in the event's ``resources``."""
    expression: str
    """``rate(...)`` or ``cron(...)``."""
    timezone: str
    """In which a ``cron`` holds."""
    input: str | None
    """JSON that is the event; None for that of EventBridge's own."""
    enabled: bool
    by_scheduler: bool
    """By EventBridge Scheduler (``ScheduleV2``), whose own event differs."""
    place: str


@dataclass(frozen=True)
class FunctionResource:
    """A function, with everything that invokes it."""

    logical_id: str
    name: str
    """The function's name; the logical id if the template gives none."""
    handler: str
    """``package.module.function``."""
    runtime: str
    code: Path
    """The folder that holds its code, absolute."""
    timeout: int
    memory_mb: int
    reserved_concurrency: int | None
    """None: bounded by the account only. 0: never runs."""
    retry_attempts: int
    """How often an asynchronous invocation that failed is tried again."""
    max_event_age_seconds: int
    """For how long an asynchronous invocation is tried."""
    has_url: bool
    place: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    http_routes: tuple[HttpRoute, ...] = ()
    queue_sources: tuple[QueueSource, ...] = ()
    schedules: tuple[ScheduleSource, ...] = ()

    @property
    def is_switched_off(self) -> bool:
        """May it have no instance? Then whatever calls it is throttled."""
        return self.reserved_concurrency == 0


@dataclass(frozen=True)
class QueueResource:
    """An SQS queue, never FIFO."""

    logical_id: str
    name: str
    arn: str
    url: str
    visibility_seconds: int
    retention_seconds: int
    delay_seconds: int
    dead_letter_queue: str | None
    """Its logical id."""
    max_receive_count: int | None
    """Set if there is a dead-letter queue."""
    place: str


@dataclass(frozen=True)
class HttpApi:
    """An HTTP API with the stage ``$default``. Its routes are the functions'."""

    logical_id: str
    api_id: str
    place: str


@dataclass(frozen=True)
class Deployment:
    """What there is, each by logical id in the template's order."""

    functions: Mapping[str, FunctionResource]
    queues: Mapping[str, QueueResource]
    http_apis: Mapping[str, HttpApi]
