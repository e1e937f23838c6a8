"""A proxy in front of the API server, for what an API server does only when it is in trouble."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from tests.kube.control_plane import ControlPlane


@dataclass
class Fault:
    """What becomes of the next requests of a kind."""

    method: str
    path: str
    """A part of the path with its query."""

    status: int = 0
    """The answer; 0 is none: the connection breaks."""

    headers: Mapping[str, str] = field(default_factory=dict)
    content: Any = None
    forwards: bool = False
    """Does the API server get the request all the same?"""

    times: int = 1
    happened: int = 0

    def is_meant(self, request: web.Request) -> bool:
        """Does it happen to this request?"""
        return self.happened < self.times and request.method == self.method and self.path in request.path_qs


class Proxy:
    """Forwards to the API server on plain HTTP; ``faults`` come first."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(plane.certificate)))
        )
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        self._cut = asyncio.Event()
        self._muted = 0
        self.before_answer: tuple[str, Callable[[], Awaitable[None]]] | None = None
        """What happens between the API server's answer to a request of that method and the proxy's."""

        self.faults: list[Fault] = []
        self.asked: list[str] = []
        """Method and path with query of all requests."""

    async def start(self) -> str:
        """Listen; the URL."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stop listening."""
        self.cut()
        await self._runner.cleanup()
        await self._session.close()

    def fault(self, method: str, path: str, status: int = 0, **more: Any) -> Fault:
        """Let something happen; how often it did is told by what is returned."""
        self.faults.append(Fault(method, path, status, **more))
        return self.faults[-1]

    def cut(self) -> None:
        """Break off all answers that are under way."""
        self._cut.set()
        self._cut = asyncio.Event()

    def mute(self) -> None:
        """Pass on nothing more of answers that are under way, as over a connection that has died."""
        self._muted += 1

    def count(self, method: str, has: Callable[[str], bool] = lambda _: True) -> int:
        """How many requests of a method came whose path with query is of that kind."""
        return sum(line.startswith(f"{method} ") and has(line) for line in self.asked)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path_qs}")
        body = await request.read()
        fault = next((fault for fault in self.faults if fault.is_meant(request)), None)
        if fault is None:
            return await self._forward(request, body)
        fault.happened += 1
        if fault.forwards:
            async with self._ask(request, body) as answer:
                await answer.read()
        if not fault.status:
            return self._break(request)
        text = fault.content if isinstance(fault.content, str) else json.dumps(fault.content or {})
        return web.Response(status=fault.status, text=text, headers=dict(fault.headers))

    def _break(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _ask(self, request: web.Request, body: bytes) -> Any:
        headers = {
            name: request.headers[name]
            for name in ("Authorization", "Content-Type", "Accept")
            if name in request.headers
        }
        url = f"{self._plane.url}{request.path_qs}"
        return self._session.request(request.method, url, data=body or None, headers=headers)

    async def _forward(self, request: web.Request, body: bytes) -> web.StreamResponse:
        cut, muted = asyncio.ensure_future(self._cut.wait()), self._muted
        try:
            async with self._ask(request, body) as answer:
                if self.before_answer is not None and self.before_answer[0] == request.method:
                    await self.before_answer[1]()
                passed = web.StreamResponse(status=answer.status)
                passed.content_type = answer.content_type
                await passed.prepare(request)
                while True:
                    chunk = asyncio.ensure_future(answer.content.readany())
                    try:
                        await asyncio.wait({chunk, cut}, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        chunk.cancel()
                    if muted != self._muted:
                        await cut
                    if cut.done():
                        return self._break(request)
                    if not chunk.result():
                        return passed
                    await passed.write(chunk.result())
        finally:
            cut.cancel()
