"""``/flavors`` and ``/credits``: what this hub, or one of its users, may use."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.responses import JSONResponse

from handlers.auth import Hub
from handlers.errors import SpawnerErrorsRoute
from handlers.outpost import outpost_of

router = APIRouter(route_class=SpawnerErrorsRoute, tags=["flavors"])

Authentication = Annotated[
    dict[str, Any], Body(description="The user's authentication dict, as the hub's authenticator made it.")
]


@router.get("/flavors")
async def flavors(hub: Hub, request: Request) -> JSONResponse:
    """This hub's flavors with their current use."""
    return JSONResponse(await outpost_of(request).flavors.of_hub(hub))


@router.post("/userflavors")
async def user_flavors(hub: Hub, request: Request, authentication: Authentication) -> JSONResponse:
    """What one user of this hub may use."""
    return JSONResponse(await outpost_of(request).flavors.of_user(hub, authentication))


@router.get("/credits")
async def credits_(hub: Hub, request: Request) -> JSONResponse:
    """This hub's credits."""
    return JSONResponse(await outpost_of(request).flavors.credits_of_hub(hub))


@router.post("/usercredits")
async def user_credits(hub: Hub, request: Request, authentication: Authentication) -> JSONResponse:
    """The credits of one user of this hub."""
    return JSONResponse(await outpost_of(request).flavors.credits_of_user(hub, authentication))
