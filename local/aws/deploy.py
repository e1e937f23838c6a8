"""What a template deploys, made of this package's parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from local.aws import cron
from local.aws.async_events import AsyncEvents
from local.aws.fork_server import ForkServer
from local.aws.function import Function
from local.aws.instance import Definition
from local.aws.queue_mapping import QueueMapping
from local.aws.routes import Route, Routes
from local.aws.schedule import Schedule
from local.template.deployment import FunctionResource, QueueSource, ScheduleSource, TemplateError

UNRESERVED = 10
"""How many instances there may be of a function that reserves no concurrency: as many as a new account has."""


def definition(
    resource: FunctionResource,
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    freeze: bool = True,
    fork_server: ForkServer | None = None,
) -> Definition:
    """A function of the template, with its own ``environment`` and what is to be added to it or to replace it."""
    reserved = resource.reserved_concurrency
    return Definition(
        name=resource.name,
        handler=resource.handler,
        environment={**resource.environment, **(environment or {})},
        timeout=resource.timeout,
        memory_mb=resource.memory_mb,
        concurrency=UNRESERVED if reserved is None else reserved,
        retry_attempts=resource.retry_attempts,
        max_event_age_seconds=resource.max_event_age_seconds,
        freeze=freeze,
        log=log,
        root=resource.code,
        fork_server=fork_server,
    )


def queue_mapping(source: QueueSource, sqs: Any, queue_url: str, function: Function) -> QueueMapping:
    """A function's queue; ``sqs`` is a boto3 client. One that is not ``enabled`` is not to be started."""
    return QueueMapping(
        sqs,
        queue_url,
        function,
        batch_size=source.batch_size,
        window_seconds=source.batching_window_seconds,
        most=source.max_concurrency or max(1, function.definition.concurrency),
        reports_item_failures=source.reports_item_failures,
    )


def expression(source: ScheduleSource) -> cron.Expression:
    """When it is due. Raises ``TemplateError`` for an expression or a time zone that is none."""
    try:
        return cron.parse(source.expression, ZoneInfo(source.timezone))
    except (ValueError, KeyError, OSError) as error:
        raise TemplateError(f"{source.place}: {error}") from error


def schedule(source: ScheduleSource, events: AsyncEvents) -> Schedule:
    """A function's schedule. Raises ``TemplateError`` as ``expression``."""
    return Schedule(
        source.logical_id,
        expression(source),
        events,
        arn=source.arn,
        payload=None if source.input is None else source.input.encode(),
        enabled=source.enabled,
    )


def routes(api: str, resources: Iterable[FunctionResource], functions: Mapping[str, Function]) -> Routes:
    """The routes of the HTTP API with that logical id; ``functions`` by their logical id."""
    return Routes(
        Route(functions[resource.logical_id], route.method, route.path, route.timeout)
        for resource in resources
        for route in resource.http_routes
        if route.api == api
    )
