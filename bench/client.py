"""An HTTP client that costs little, so that the server is what is measured."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlsplit


@dataclass
class Result:
    """The seconds of each request that was answered well, and how many were not."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    elapsed: float = 0.0

    def row(self) -> dict[str, float]:
        """Requests per second, median and 99th percentile in milliseconds, errors."""
        ordered = sorted(self.seconds) or [0.0]
        return {
            "per_second": round(len(self.seconds) / self.elapsed, 1) if self.elapsed else 0.0,
            "p50_ms": round(1000 * ordered[len(ordered) // 2], 2),
            "p99_ms": round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 2),
            "errors": self.errors,
        }


class Connection:
    """One kept-alive connection of one client."""

    def __init__(self, url: str, user: str, password: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        login = b64encode(f"{user}:{password}".encode()).decode()
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Basic {login}\r\n"

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
        head = f"{method} {path} HTTP/1.1\r\n{self._head}"
        if payload:
            head += f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + payload)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        for line in answer.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                await self._reader.readexactly(int(line.partition(b":")[2]))
        return int(answer.split(b" ", 2)[1])


Request = Callable[[Connection, int], Awaitable[int]]


async def load(connect: Callable[[], Connection], clients: int, requests: int, request: Request) -> Result:
    """``requests`` calls by so many clients at once; the number of a call is what tells it from the others."""
    result = Result()
    numbers = iter(range(requests))

    async def client() -> None:
        async with connect() as connection:
            for number in numbers:
                began = time.perf_counter()
                status = await request(connection, number)
                if status < 300:
                    result.seconds.append(time.perf_counter() - began)
                else:
                    result.errors += 1

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    result.elapsed = time.perf_counter() - began
    return result
