"""The calls of a server's life, by candidates that take turns: noise of the machine hits all alike."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.candidates import Candidate
from bench.client import Connection, Pings, Request, Result, load
from bench.preload import ENV

CALLS = ("start", "poll", "list", "flavors", "stop")
PRELOADED = "there"
"""The first part of the names of services that were there before the run."""


@dataclass(frozen=True)
class Bounds:
    """How much one round asks for."""

    requests: int
    seconds: float
    """After which no further request of a call is begun."""
    services: int
    """How many are there already."""


@dataclass
class Measured:
    """All rounds of one call of one candidate."""

    results: list[Result] = field(default_factory=list)
    pings: list[float] = field(default_factory=list)
    cpu: float = 0.0

    def row(self) -> dict[str, Any]:
        """Rates in requests per second, the rest in milliseconds; ``cpu_ms`` is the server's for one request."""
        ordered = sorted(second for result in self.results for second in result.seconds) or [0.0]
        elapsed = sum(result.elapsed for result in self.results)
        return {
            "per_second": round(len(ordered) / elapsed, 1) if elapsed else 0.0,
            "p50_ms": round(1000 * ordered[len(ordered) // 2], 2),
            "p99_ms": round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 2),
            "cpu_ms": round(1000 * self.cpu / len(ordered), 3),
            "errors": sum(result.errors for result in self.results),
            "longest_ping_ms": round(1000 * max(self.pings, default=0.0), 1),
            "rounds": [round(result.per_second, 1) for result in self.results],
        }


def request_of(call: str, names: Sequence[str]) -> Request:
    """The request for a number, which stands for one of ``names``."""

    async def request(connection: Connection, number: int) -> int:
        name = names[number % len(names)]
        if call == "start":
            return await connection.call("POST", "/services", {"name": name, "flavor": "small", "env": ENV})
        if call in ("list", "flavors"):
            return await connection.call("GET", "/services" if call == "list" else "/flavors")
        return await connection.call("GET" if call == "poll" else "DELETE", f"/services/{name}/0")

    return request


async def measure(
    candidates: Sequence[Candidate], clients: int, rounds: int, bounds: Bounds
) -> dict[str, dict[str, dict[str, Any]]]:
    """By candidate and call. Each round starts services, and stops what it has started."""
    measured = {one.name: {call: Measured() for call in CALLS} for one in candidates}
    for number in range(rounds):
        started: dict[str, Result] = {}
        for call in CALLS:
            for candidate in candidates if number % 2 == 0 else reversed(candidates):
                begun = started.get(candidate.name)
                row, before = measured[candidate.name][call], candidate.cpu_s()
                result, ping = await _one(candidate, call, clients, bounds, begun.done if begun else [])
                started.setdefault(candidate.name, result)
                row.results.append(result)
                row.pings.append(ping)
                row.cpu += candidate.cpu_s() - before
    return {name: {call: one.row() for call, one in calls.items()} for name, calls in measured.items()}


async def _one(
    candidate: Candidate, call: str, clients: int, bounds: Bounds, running: list[int]
) -> tuple[Result, float]:
    requests = max(bounds.requests, 2 * clients)
    names = [f"s{number}" for number in range(requests)]
    numbers: Sequence[int] = range(requests)
    if call == "stop":
        numbers = running
    elif call == "list":
        numbers = range(max(bounds.requests // 8, clients))
    elif call == "poll":
        names = [f"s{number}" for number in running]
        names += [f"{PRELOADED}{number}" for number in random.Random(1).sample(range(bounds.services), bounds.services)]
        names = names[: max(len(running), requests)] if not bounds.services else names[-requests:]
    seconds = 60.0 if call == "stop" else bounds.seconds
    with Pings(candidate.url) as pings:
        result = await load(candidate.url, clients, numbers, request_of(call, names or ["nobody"]), seconds)
    return result, pings.longest
