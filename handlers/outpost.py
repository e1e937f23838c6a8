"""The object graph as routes get it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from infra.wiring import Outpost


async def _outpost(request: Request) -> Outpost:
    outpost: Outpost = request.app.state.outpost
    return outpost


CurrentOutpost = Annotated[Outpost, Depends(_outpost)]
