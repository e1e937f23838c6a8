"""The object graph as routes get it."""

from __future__ import annotations

from fastapi import Request

from infra.wiring import Outpost


def outpost_of(request: Request) -> Outpost:
    """The Outpost that this application serves. Not a dependency: FastAPI takes longer to resolve one than this."""
    outpost: Outpost = request.app.state.outpost
    return outpost
