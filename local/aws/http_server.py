"""An HTTP server on loopback, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn

from local.aws.http_events import HttpAnswer, HttpRequest
from local.processes import HOST

_THREADS = 64

Handle = Callable[[HttpRequest], HttpAnswer]


class HttpServer:
    """Answers each request with what ``handle`` returns for it, which runs in a thread and may take its time."""

    def __init__(self, handle: Handle, port: int = 0) -> None:
        """``port`` 0 is a free one. Nothing is answered before ``start()``. Raises ``OSError`` for a port in use."""
        self._handle = handle
        self._socket = socket.create_server((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or every answer takes 40 ms
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="http")
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def start(self) -> None:
        """Answer requests."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.should_exit = self._server.force_exit = True
        if self._thread.ident is not None:
            self._thread.join(5)
        self._pool.shutdown(wait=False)
        self._socket.close()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._pool, self._handle, _request(scope, body))
        headers = [(name.encode(), value.encode()) for name, value in answer.headers]
        if answer.status not in (204, 304):
            headers = [pair for pair in headers if pair[0] != b"content-length"]
            headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


def _request(scope: Any, body: bytes) -> HttpRequest:
    return HttpRequest(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=[(name.decode("latin-1"), _text(value)) for name, value in scope["headers"]],
        body=body,
        source_ip=scope["client"][0],
    )


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
