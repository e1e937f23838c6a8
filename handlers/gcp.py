"""Outpost as Cloud Run functions, for functions-framework. Nothing is decided here, nothing goes on after an answer."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the framework looks beside this file only

from handlers import cold_start

# isort: split
import os
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from functions_framework import aio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from core.logs import JsonFormatter, request_id
from core.threads import in_thread
from handlers import gcp_requests, jobs, running
from handlers.running import Job, carry_on, drained
from infra.database_network import wait_for_network
from infra.google_identity import CallerCheck
from infra.schema import migrate as migrate_schema
from infra.schema import schema_state
from infra.wiring import Outpost, utc_now
from infra.wiring_functions import Environment, FunctionOutpost, build_function

Result = dict[str, Any]
Work = Callable[[FunctionOutpost, Request], Awaitable[Result]]


@aio.http
async def api(request: Request) -> Response:
    """HTTP requests of hubs."""
    from handlers.gcp_http import Answer

    request_id.set(gcp_requests.id_of(request))
    return Answer(_http(), _function())


@aio.http
async def worker(request: Request) -> Response:
    """Tasks of Cloud Tasks: rows to be carried on, hubs to be told their flavors. Those that failed come again."""
    return await _call(request, _carry_on)


@aio.http
async def expire(request: Request) -> Response:
    """Scheduled: stop the services whose run time is over."""
    return await _call(request, _scheduled(jobs.expire))


@aio.http
async def recover(request: Request) -> Response:
    """Scheduled: carry on what nobody does; now and then, find what hubs have forgotten, and what no row knows."""
    return await _call(request, _scheduled(running.recover))


@aio.http
async def tunnels(request: Request) -> Response:
    """Scheduled: have tunnels rebuilt. ``{"generation": "..."}``: the SSH node has restarted, and is now of that."""
    return await _call(request, _scheduled(jobs.tunnels, "generation"))


@aio.http
async def migrate(request: Request) -> Response:
    """Called by hand after a deployment: bring the database's schema to this version, or with ``dry_run`` compare."""
    return await _call(request, _migrate)


async def _call(request: Request, work: Work) -> Response:
    """Do it for a caller who may; the answer is JSON, and a success only when it is done."""
    request_id.set(gcp_requests.id_of(request))
    if request.method != "POST":
        return JSONResponse({"detail": "this function is called by POST"}, 405, {"Allow": "POST"})
    function = _function()
    try:
        if (check := _check()) is not None:
            await in_thread(check.check, request.headers.get("authorization", ""))
        await in_thread(function.environment.refresh)
        return JSONResponse(await drained(work(function, request), function.outpost))
    except Exception as error:  # noqa: BLE001  # whatever it is, the caller has to try again
        return gcp_requests.refusal(error)


async def _carry_on(function: FunctionOutpost, request: Request) -> Result:
    message = await gcp_requests.task(request)
    if await carry_on(function, [message]):
        raise gcp_requests.Failed("the task failed; the log says why")
    return {}


def _scheduled(job: Job, *options: str) -> Work:
    async def work(function: FunctionOutpost, request: Request) -> Result:
        given = await gcp_requests.options(request, *options)
        if generation := given.get("generation"):
            await in_thread(function.outpost.store.ssh_restarted, generation)
        dry_run = bool(given.get("dry_run"))
        return {"services": await job(function.outpost, dry_run), "dry_run": dry_run}

    return work


async def _migrate(function: FunctionOutpost, request: Request) -> Result:
    given = await gcp_requests.options(request)
    return {"schema": await in_thread(_migrated, function.outpost, bool(given.get("dry_run")))}


def _migrated(outpost: Outpost, dry_run: bool) -> str:
    if not dry_run:
        migrate_schema(outpost.database, outpost.settings.sealer())
    return schema_state(outpost.database)


@cache
def _environment() -> Environment:
    return Environment(utc_now)


@cache
def _function() -> FunctionOutpost:
    return build_function(utc_now, _environment(), JsonFormatter("severity"))


@cache
def _http() -> ASGIApp:
    from handlers.gcp_http import http  # the other functions need no web framework

    return http(_function())


@cache
def _check() -> CallerCheck | None:
    audiences, callers = _environment().settings.oidc
    return CallerCheck(audiences, callers, utc_now) if audiences else None


def _forget() -> None:
    """The server loads this file and forks: leases and connections belong to one process, what was fetched to all."""
    for made in (_function, _http, _check):
        made.cache_clear()


os.register_at_fork(after_in_child=_forget)

if "FUNCTION_TARGET" in os.environ:
    _function()  # a mistake in the configuration ends the start-up
    if os.environ["FUNCTION_TARGET"] == "api":
        _http()
    else:
        _check()
    wait_for_network(_environment().settings, utc_now)

cold_start.is_over()
