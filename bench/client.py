"""An HTTP client that costs little, so that the server is what is measured."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from threading import Event, Thread
from types import TracebackType
from urllib.parse import unquote, urlsplit


@dataclass
class Result:
    """The seconds of each request that was answered well, and how many were not."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    elapsed: float = 0.0
    done: list[int] = field(default_factory=list)
    """The numbers of the requests that were answered well."""

    @property
    def per_second(self) -> float:
        """How many were answered well."""
        return len(self.seconds) / self.elapsed if self.elapsed else 0.0


class Connection:
    """One kept-alive connection of one client to ``http://user:password@host:port/base``."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._base = parts.path.rstrip("/")
        login = b64encode(f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()).decode()
        self._head = f"Host: {self._host}:{self._port}\r\nAuthorization: Basic {login}\r\n"

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def call(self, method: str, path: str, body: object = None) -> int:
        """The status of one request; its body is read and dropped."""
        payload = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {self._base}{path} HTTP/1.1\r\n{self._head}"
        if payload:
            head += f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + payload)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        for line in answer.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                await self._reader.readexactly(int(line.partition(b":")[2]))
        return int(answer.split(b" ", 2)[1])


Request = Callable[[Connection, int], Awaitable[int]]


async def load(url: str, clients: int, numbers: Iterable[int], request: Request, seconds: float) -> Result:
    """One request for each number, by so many clients at once; after so many seconds none is begun any more."""
    result = Result()
    left = iter(numbers)
    connections = [Connection(url) for _ in range(clients)]
    for connection in connections:
        await connection.__aenter__()
    began = time.perf_counter()

    async def client(connection: Connection) -> None:
        for number in left:
            sent = time.perf_counter()
            if await _is_answered(connection, request, number):
                result.seconds.append(time.perf_counter() - sent)
                result.done.append(number)
            else:
                result.errors += 1
            if time.perf_counter() > began + seconds:
                return

    try:
        await asyncio.gather(*map(client, connections))
    finally:
        result.elapsed = time.perf_counter() - began
        for connection in connections:
            await connection.__aexit__(None, None, None)
    return result


async def _is_answered(connection: Connection, request: Request, number: int) -> bool:
    """A connection that breaks is an error like a bad status, and is opened again."""
    try:
        async with asyncio.timeout(60):
            return await request(connection, number) < 300
    except (OSError, EOFError, TimeoutError):
        await connection.__aexit__(None, None, None)
        await connection.__aenter__()
        return False


class Pings(Thread):
    """Asks for ``/ping`` all the time, in a thread of its own: the clients of the load are not in its way."""

    def __init__(self, url: str, pause: float = 0.01) -> None:
        super().__init__(name="pings", daemon=True)
        parts = urlsplit(url)
        self._address, self._path = (parts.hostname or "", parts.port or 80), parts.path.rstrip("/") + "/ping"
        self._pause = pause
        self._ended = Event()
        self.longest = 0.0
        """Seconds."""

    def run(self) -> None:
        """Until the block ends."""
        connection = HTTPConnection(*self._address, timeout=60)
        while not self._ended.wait(self._pause):
            sent = time.perf_counter()
            connection.request("GET", self._path)
            connection.getresponse().read()
            self.longest = max(self.longest, time.perf_counter() - sent)
        connection.close()

    def __enter__(self) -> Pings:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self.join()
