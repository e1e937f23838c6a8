"""``/services``: start, list, poll and stop."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from core.errors import ServiceNotFound
from core.model import Identity
from core.ports import Store
from core.threads import in_long_thread
from handlers.auth import Hub
from handlers.errors import SpawnerErrorsRoute
from handlers.outpost import outpost_of
from handlers.schemas import Detail, Listed, Polled, SpawnerError, StartBody, Started, Stopped, listed

router = APIRouter(route_class=SpawnerErrorsRoute, tags=["services"])

_AUTH_STATE = b"auth-state-"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Detail}}
_SPAWNER: dict[int | str, dict[str, Any]] = {419: {"model": SpawnerError}}

ExecutionType = Annotated[str, Header(description="`async`: answer 202 at once, and do it in the background.")]
CollectLogs = Annotated[bool, Query(description="Fill `logs` with the server's last lines.")]


def _auth_state(request: Request) -> dict[str, str]:
    """The user's auth_state, which hubs send as headers ``auth-state-<key>: <value>``."""
    prefix = len(_AUTH_STATE)
    return {
        name[prefix:].decode("latin-1"): value.decode("utf-8", "replace")
        for name, value in request.scope["headers"]
        if name.startswith(_AUTH_STATE)
    }


def _identity(hub: str, name: str, start_id: str) -> Identity:
    identity = Identity(hub, name, start_id)
    if "\x00" in name + start_id:
        raise ServiceNotFound("Item not found")
    return identity


@router.post("/services", responses={200: {"model": Started}, 202: {"model": Started}, **_SPAWNER})
async def start(
    request: Request,
    body: StartBody,
    hub: Hub,
    execution_type: ExecutionType = "",
) -> JSONResponse:
    """Start a server and answer where it runs."""
    try:
        new = body.new_service(hub, _auth_state(request))
    except ValueError as error:
        raise RequestValidationError([{"loc": ("body",), "msg": str(error), "type": "value_error"}]) from None
    wait = execution_type.lower() != "async"
    service = await outpost_of(request).lifecycle.start(new, body.authentication, wait)
    return JSONResponse({"service": service}, 200 if wait else 202)


@router.get("/services", responses={200: {"model": list[Listed]}})
async def list_services(request: Request, hub: Hub) -> Response:
    """All services of this hub."""
    return Response(await in_long_thread(_list, outpost_of(request).store, hub), media_type="application/json")


def _list(store: Store, hub: str) -> bytes:
    """Made in the thread, and item by item: thousands of services at once would hold up the event loop."""
    return f"[{','.join(_encode(listed(service)) for service in store.list_hub(hub))}]".encode()


@router.get("/services/{name:segment}/{start_id:segment}", responses={200: {"model": Polled}, **_NOT_FOUND})
async def poll(request: Request, hub: Hub, name: str, start_id: str, collect_logs: CollectLogs = False) -> JSONResponse:
    """Does the server run? Without a `start_id` in the path it is `0`."""
    lifecycle, identity = outpost_of(request).lifecycle, _identity(hub, name, start_id)
    polled = await lifecycle.poll(identity, _auth_state(request), collect_logs)
    return JSONResponse({"status": polled.status, "logs": polled.logs})


@router.delete(
    "/services/{name:segment}/{start_id:segment}",
    responses={
        200: {"model": Stopped},
        202: {"description": "It will be stopped."},
        **_NOT_FOUND,
        **_SPAWNER,
    },
)
async def stop(
    request: Request,
    hub: Hub,
    name: str,
    start_id: str,
    collect_logs: CollectLogs = False,
    execution_type: ExecutionType = "",
) -> JSONResponse:
    """Stop the server, at any moment of its life; answered when it is gone."""
    wait = execution_type.lower() != "async"
    lifecycle, identity = outpost_of(request).lifecycle, _identity(hub, name, start_id)
    logs = await lifecycle.stop(identity, _auth_state(request), wait, collect_logs)
    return JSONResponse({"logs": logs}) if wait else JSONResponse({}, 202)
