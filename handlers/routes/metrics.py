"""``/metrics`` for Prometheus, of a process that lives on. It needs no password and names no user."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from infra.exposition import Exposition

router = APIRouter(tags=["health"])


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """What has happened in this process, and how things stand in the database."""
    exposition: Exposition = request.app.state.exposition
    return Response(await exposition.scrape(), headers={"content-type": CONTENT_TYPE_LATEST})
