"""The longest ``/ping`` while many services that have expired at once are stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bench.candidates import Candidate
from bench.client import Pings
from bench.preload import expired_left, preload
from infra.wiring import utc_now

_PREFIX = "expired"
_LONGEST = 120.0
"""Seconds that a sweep may take."""


def longest_ping_of_a_sweep(candidate: Candidate, services: int) -> dict[str, Any]:
    """In milliseconds; beside it that of a quiet second, and how long the sweep took."""
    env = candidate.environment
    assert env is not None, "only a candidate that was started here can be given expired services"
    with Pings(candidate.url) as quiet:
        time.sleep(1)
    began = time.perf_counter()
    with Pings(candidate.url) as swept:
        preload(env, services, _PREFIX, -timedelta(hours=1))
        left = _wait_until_gone(env)
    return {
        "services": services,
        "left": left,
        "seconds": round(time.perf_counter() - began, 1),
        "longest_ping_ms": round(1000 * swept.longest, 1),
        "longest_quiet_ping_ms": round(1000 * quiet.longest, 1),
    }


def _wait_until_gone(env: Mapping[str, str]) -> int:
    """How many are left when all should be gone."""
    deadline = time.monotonic() + _LONGEST
    while (left := expired_left(env, _PREFIX, utc_now())) and time.monotonic() < deadline:
        time.sleep(0.5)
    return left
