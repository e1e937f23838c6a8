"""Stops that fail are tried again with growing pauses."""

from __future__ import annotations

from datetime import timedelta

from core.stopping import retry_after


def test_pauses_double_from_5_seconds_to_10_minutes() -> None:
    assert [retry_after(attempts).total_seconds() for attempts in range(1, 10)] == [
        5, 10, 20, 40, 80, 160, 320, 600, 600,
    ]  # fmt: skip
    assert retry_after(10**6) == timedelta(minutes=10)
