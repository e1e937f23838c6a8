"""The longest ``/ping`` while many services that have expired at once are stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bench.candidates import Candidate
from bench.client import longest_ping
from bench.preload import expired_left, preload
from infra.wiring import utc_now

_PREFIX = "expired"
_LONGEST = 120.0
"""Seconds that a sweep may take."""


async def longest_ping_of_a_sweep(candidate: Candidate, services: int) -> dict[str, Any]:
    """In milliseconds; beside it that of a quiet second, and how long the sweep took."""
    env = candidate.environment
    assert env is not None, "only a candidate that was started here can be given expired services"
    quiet = await _pings_while(candidate, asyncio.sleep(1))
    preload(env, services, _PREFIX, -timedelta(hours=1))
    began = time.perf_counter()
    swept = await _pings_while(candidate, asyncio.to_thread(_wait_until_gone, env))
    left = await asyncio.to_thread(expired_left, env, _PREFIX, utc_now())
    return {
        "services": services,
        "left": left,
        "seconds": round(time.perf_counter() - began, 1),
        "longest_ping_ms": round(1000 * swept, 1),
        "longest_quiet_ping_ms": round(1000 * quiet, 1),
    }


async def _pings_while(candidate: Candidate, work: Any) -> float:
    ended = asyncio.Event()
    pings = asyncio.create_task(longest_ping(candidate.url, ended))
    await work
    ended.set()
    return await pings


def _wait_until_gone(env: Mapping[str, str]) -> None:
    deadline = time.monotonic() + _LONGEST
    while expired_left(env, _PREFIX, utc_now()) and time.monotonic() < deadline:
        time.sleep(0.5)
