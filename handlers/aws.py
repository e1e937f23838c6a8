"""Outpost as AWS Lambda functions. Nothing is decided here, and nothing goes on after an answer."""

from __future__ import annotations

from handlers import cold_start

# isort: split
import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from core.logs import request_id
from handlers import aws_events, jobs, running
from handlers.aws_events import Event
from handlers.running import Job, carry_on, drained
from infra import emf
from infra.schema import migrate as migrate_schema
from infra.schema import schema_state
from infra.wiring import utc_now
from infra.wiring_functions import FunctionOutpost, build_function

_loop = asyncio.new_event_loop()
asyncio.set_event_loop(_loop)  # Mangum takes the current one


def api(event: Event, context: Any) -> Any:
    """HTTP requests of an HTTP API, a Function URL or a load balancer."""
    with _invocation(context):
        aws_events.check_http(event)
        return _http()(event, context)


def worker(event: Event, context: Any) -> dict[str, Any]:
    """Messages of the queue: rows to be carried on, hubs to be told their flavors. Those that failed come again."""
    with _invocation(context) as function:
        messages = aws_events.queue_messages(event)
        failed = _loop.run_until_complete(drained(carry_on(function, messages), function.outpost))
        _count("worker", messages=len(messages), failed=len(failed))
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def expire(event: Event, context: Any) -> dict[str, Any]:
    """Scheduled: stop the services whose run time is over."""
    return _scheduled(aws_events.scheduled(event), context, jobs.expire)


def recover(event: Event, context: Any) -> dict[str, Any]:
    """Scheduled: carry on what nobody does; now and then, find what hubs have forgotten, and what no row knows."""
    return _scheduled(aws_events.scheduled(event), context, running.recover)


def tunnels(event: Event, context: Any) -> dict[str, Any]:
    """Scheduled: have tunnels rebuilt. ``{"generation": "..."}``: the SSH node has restarted, and is now of that."""
    return _scheduled(aws_events.scheduled(event, "generation"), context, jobs.tunnels)


def migrate(event: Event, context: Any) -> dict[str, Any]:
    """Called by hand after a deployment: bring the database's schema to this version, or with ``dry_run`` compare."""
    options = aws_events.scheduled(event)
    with _invocation(context) as function:
        outpost = function.outpost
        if not options.get("dry_run"):
            migrate_schema(outpost.database, outpost.settings.sealer())
        return {"schema": schema_state(outpost.database)}


@cache
def _function() -> FunctionOutpost:
    return build_function()


@cache
def _http() -> Callable[[Event, Any], Any]:
    from handlers.aws_http import http  # the other functions need no web framework

    return http(_function(), _count_request)


@contextmanager
def _invocation(context: Any) -> Iterator[FunctionOutpost]:
    request_id.set(getattr(context, "aws_request_id", ""))
    function = _function()
    function.environment.refresh()
    yield function


def _scheduled(options: Event, context: Any, job: Job) -> dict[str, Any]:
    began, dry_run = time.perf_counter(), bool(options.get("dry_run"))
    with _invocation(context) as function:
        if generation := options.get("generation"):
            function.outpost.store.ssh_restarted(generation)
        found = _loop.run_until_complete(drained(job(function.outpost, dry_run), function.outpost))
        _count(job.__name__, services=found, seconds=time.perf_counter() - began)
        return {"services": found, "dry_run": dry_run}


def _count_request(call: str, status: int, seconds: float) -> None:
    _count(call, "419" if status == 419 else f"{status // 100}xx", requests=1, seconds=seconds)


def _count(call: str, outcome: str = "done", **values: float) -> None:
    line = emf.line({"call": call, "outcome": outcome}, values, utc_now(), request_id.get())
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    _function()  # a mistake in the configuration ends the start-up, and the init phase has the most CPU
    if os.environ.get("_HANDLER", "").endswith(".api"):
        _http()

cold_start.is_over()
