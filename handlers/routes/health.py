"""``/ping`` and ``/health``: is it alive, and can it work? Both answer without a password."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse

from core.errors import StoreUnavailable
from core.threads import in_thread
from handlers.outpost import outpost_of
from infra.schema import schema_state

router = APIRouter(tags=["health"])

_WORKABLE = ("current", "newer")
"""Migrations suit the release before, so that an upgrade's first step takes no old replica out of service."""


@router.get("/ping")
async def ping() -> JSONResponse:
    """The process answers. Nothing else is asked."""
    return JSONResponse({"ping": "pong!"})


@router.get("/health", responses={503: {"description": "It cannot work now; the body says what is missing."}})
async def health(request: Request) -> JSONResponse:
    """Database, migrations and configuration. What is wrong in detail is in the log."""
    outpost = outpost_of(request)
    try:
        database, schema = "ok", str(await in_thread(schema_state, outpost.database))
    except StoreUnavailable:
        database, schema = "unreachable", "unknown"
    files = {name: "ok" if problem is None else "broken" for name, problem in outpost.file_problems().items()}
    state: dict[str, Any] = {"database": database, "schema": schema, **files}
    if "broken" in files.values():
        state["detail"] = "A changed file cannot be used; the last good one is in force. The log says why."
    return JSONResponse(state, 200 if schema in _WORKABLE else 503)


@router.get("/", include_in_schema=False)
async def root(request: Request) -> RedirectResponse:
    """There is no page yet but the API's documentation."""
    return RedirectResponse(request.scope["root_path"] + "/docs")
