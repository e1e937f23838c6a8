"""``/ssh-node``: an SSH node that runs elsewhere says that it has restarted."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from handlers.outpost import outpost_of
from handlers.schemas import Restarted

router = APIRouter(tags=["SSH node"])

_bearer = HTTPBearer(auto_error=False, description="The value of `OUTPOST_SSH_NODE_TOKEN`.")

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


@router.post(
    "/ssh-node",
    status_code=204,
    responses={401: {"description": "The token is missing or wrong."}, 404: {"description": "No token is configured."}},
)
async def restarted(request: Request, body: Restarted, credentials: Credentials) -> Response:
    """Hubs set their tunnels up again when the generation differs from the last one."""
    outpost = outpost_of(request)
    expected = outpost.settings.ssh_node_token.get_secret_value()
    if not expected:
        raise HTTPException(404)
    given = credentials.credentials if credentials is not None else ""
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    await outpost.tunnels.ssh_restarted(body.generation)
    return Response(status_code=204)
