"""``/ssh-node``: an SSH node that runs elsewhere says that it has restarted."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPBearer

from handlers.auth import SSH_NODE_PATH
from handlers.outpost import outpost_of
from handlers.schemas import Restarted

router = APIRouter(tags=["SSH node"])

_bearer = HTTPBearer(auto_error=False, description="The value of `OUTPOST_SSH_NODE_TOKEN`.")
"""For the documentation; the middleware has checked the token already."""


@router.post(
    SSH_NODE_PATH,
    status_code=204,
    dependencies=[Depends(_bearer)],
    responses={401: {"description": "The token is missing or wrong."}, 404: {"description": "No token is configured."}},
)
async def restarted(request: Request, body: Restarted) -> Response:
    """Hubs set their tunnels up again when the generation differs from the last one."""
    await outpost_of(request).tunnels.ssh_restarted(body.generation)
    return Response(status_code=204)
