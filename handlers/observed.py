"""What was called, how it ended and how long it took, for whoever counts."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Observe = Callable[[str, int, float], None]
"""Gets the call's name, the HTTP status and the seconds of each request."""

_SERVICE_CALLS = {"GET": "poll", "DELETE": "stop"}
_OTHER_CALLS = {
    ("POST", "/services"): "start",
    ("GET", "/services"): "list",
    ("GET", "/flavors"): "flavors",
    ("POST", "/userflavors"): "userflavors",
    ("GET", "/credits"): "credits",
    ("POST", "/usercredits"): "usercredits",
    ("GET", "/ping"): "ping",
    ("GET", "/health"): "health",
    ("GET", "/metrics"): "metrics",
    ("POST", "/ssh-node"): "ssh-node",
}


class Observed:
    """ASGI middleware behind :class:`handlers.paths.RawPaths`, whose paths it names."""

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and look at the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            path = scope["path"].removeprefix(scope["root_path"])
            self._observe(call_name(scope["method"], path), status, time.perf_counter() - began)


def call_name(method: str, path: str) -> str:
    """One of a few names, whatever the hub's services are called."""
    if path.startswith("/services/"):
        return _SERVICE_CALLS.get(method, "other")
    return _OTHER_CALLS.get((method, path), "other")
