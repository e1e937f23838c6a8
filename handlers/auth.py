"""Basic auth: which hub is calling. It comes before a body is read."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBasic
from starlette.types import ASGIApp, Receive, Scope, Send

from core.threads import in_thread

OPEN_PATHS = frozenset({"/ping", "/health", "/metrics"})
SSH_NODE_PATH = "/ssh-node"
"""Not a hub's: the SSH node has a token of its own."""

ReadPasswords = Callable[[], Mapping[str, str]]

_BEARER = {"WWW-Authenticate": "Bearer"}
_DENIED = {"WWW-Authenticate": 'Basic realm="Outpost", charset="UTF-8"'}


class BasicAuth:
    """ASGI middleware that lets hubs in and nobody else; the hub's name is then ``scope["hub"]``."""

    def __init__(
        self,
        app: ASGIApp,
        passwords: Mapping[str, str],
        reread: ReadPasswords | None = None,
        ssh_node_token: str = "",
    ) -> None:
        """``reread`` tells the passwords of this moment; it is asked when somebody is not let in."""
        self._app = app
        self._ssh_node_token = ssh_node_token
        self._reread = reread
        self._know(passwords)

    def _know(self, passwords: Mapping[str, str]) -> None:
        self._known = [(f"{name}:{password}".encode(), name) for name, password in passwords.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 without a hint which part was wrong, or hand on."""
        path = scope["path"].removeprefix(scope["root_path"]) if scope["type"] == "http" else ""
        if scope["type"] != "http" or path in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        login = dict(scope["headers"]).get(b"authorization", b"")
        if path == SSH_NODE_PATH:
            await (self._refusal_of_node(login) or self._app)(scope, receive, send)
            return
        hub = self._hub(login)
        if hub is None and login and self._reread is not None:
            self._know(await in_thread(self._reread))
            hub = self._hub(login)
        if hub is None:
            denied = JSONResponse({"detail": "Not authenticated"}, 401, headers=_DENIED)
            await denied(scope, receive, send)
            return
        scope["hub"] = hub
        await self._app(scope, receive, send)

    def _refusal_of_node(self, header: bytes) -> JSONResponse | None:
        if not self._ssh_node_token:
            return JSONResponse({"detail": "OUTPOST_SSH_NODE_TOKEN is not set"}, 404)
        scheme, _, given = header.partition(b" ")
        if scheme.lower() == b"bearer" and hmac.compare_digest(self._ssh_node_token.encode(), given.strip()):
            return None
        return JSONResponse({"detail": "Not authenticated"}, 401, headers=_BEARER)

    def _hub(self, header: bytes) -> str | None:
        """Every known hub is compared, in constant time, whoever is asking."""
        scheme, _, encoded = header.partition(b" ")
        if scheme.lower() != b"basic":
            return None
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return None
        found = None
        for expected, name in self._known:
            if hmac.compare_digest(expected, given):
                found = name
        return found


class _CallingHub(HTTPBasic):
    """The scheme as the API's documentation shows it; the middleware has checked the password already."""

    async def __call__(self, request: Request) -> str:  # type: ignore[override]  # the name is all that routes need
        hub: str = request.scope["hub"]
        return hub


_calling_hub = _CallingHub(description="A name of `usernames` with its password of `passwords`.")

Hub = Annotated[str, Depends(_calling_hub)]
"""The name of the hub that is calling."""
