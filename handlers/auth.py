"""Basic auth: which hub is calling. It comes before a body is read."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBasic
from starlette.types import ASGIApp, Receive, Scope, Send

from core.threads import in_thread
from infra.settings import Settings

OPEN_PATHS = frozenset({"/ping", "/health", "/metrics"})
SSH_NODE_PATH = "/ssh-node"
"""Not a hub's: the SSH node has a token of its own."""

Reread = Callable[[], Settings]

_BEARER = {"WWW-Authenticate": "Bearer"}
_DENIED = {"WWW-Authenticate": 'Basic realm="Outpost", charset="UTF-8"'}


class BasicAuth:
    """ASGI middleware that lets hubs in and nobody else; the hub's name is then ``scope["hub"]``."""

    def __init__(self, app: ASGIApp, settings: Settings, reread: Reread | None = None) -> None:
        """``reread`` tells the settings of this moment; it is asked when somebody is not let in."""
        self._app = app
        self._reread = reread
        self._know(settings)

    def _know(self, settings: Settings) -> None:
        self._known = [(f"{name}:{password}".encode(), name) for name, password in settings.hub_passwords.items()]
        self._ssh_node_token = settings.ssh_node_token.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 without a hint which part was wrong, or hand on."""
        path = scope["path"].removeprefix(scope["root_path"]) if scope["type"] == "http" else ""
        if scope["type"] != "http" or path in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        login = dict(scope["headers"]).get(b"authorization", b"")
        lets_in = self._is_node if path == SSH_NODE_PATH else self._is_hub
        if not lets_in(login, scope) and not (await self._has_reread(login) and lets_in(login, scope)):
            await self._denial(path)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _has_reread(self, login: bytes) -> bool:
        """The passwords and the token may be others by now."""
        if not login or self._reread is None:
            return False
        self._know(await in_thread(self._reread))
        return True

    def _denial(self, path: str) -> JSONResponse:
        if path != SSH_NODE_PATH:
            return JSONResponse({"detail": "Not authenticated"}, 401, headers=_DENIED)
        if not self._ssh_node_token:
            return JSONResponse({"detail": "OUTPOST_SSH_NODE_TOKEN is not set"}, 404)
        return JSONResponse({"detail": "Not authenticated"}, 401, headers=_BEARER)

    def _is_node(self, header: bytes, scope: Scope) -> bool:
        scheme, _, given = header.partition(b" ")
        is_right = hmac.compare_digest(self._ssh_node_token, given.strip())
        return bool(self._ssh_node_token) and scheme.lower() == b"bearer" and is_right

    def _is_hub(self, header: bytes, scope: Scope) -> bool:
        hub = self._hub(header)
        if hub is not None:
            scope["hub"] = hub
        return hub is not None

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
