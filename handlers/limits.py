"""Bodies have an end: a hub's start request is a few kilobytes."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 6 * 1024 * 1024
"""What AWS Lambda takes at most, so that a hub meets the same limit everywhere."""


class BodyLimit:
    """ASGI middleware that answers 413 to bodies over the limit, without reading them to their end."""

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES) -> None:
        self._app = app
        self._most = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on while the body stays within the limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._most:
            await self._refuse(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            return {"type": "http.disconnect"} if read > self._most else message

        async def unless_too_large(message: Message) -> None:
            if read <= self._most:
                await send(message)

        await self._app(scope, counted, unless_too_large)
        if read > self._most:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"The body is larger than {self._most} bytes"
        await JSONResponse({"detail": detail}, 413)(scope, receive, send)
