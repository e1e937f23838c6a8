"""A server that is the SSH node too waits until hubs can reach it, and says so when that lasts."""

from __future__ import annotations

import asyncio

import pytest

from handlers import server, ssh_node


@pytest.mark.parametrize(("silent_seconds", "warnings"), [(0, 1), (3600, 0)])
async def test_a_node_that_is_not_reached_is_waited_for_and_spoken_of_once_when_that_lasts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, silent_seconds: float, warnings: int
) -> None:
    answers = [False] * 5 + [True]
    monkeypatch.setattr(ssh_node, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(ssh_node, "greets", lambda service: answers.pop(0))
    await asyncio.wait_for(server._until_reached("node:22", silent_seconds), 20)
    assert answers == []
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == warnings
    assert all("OUTPOST_SSH_NODE_SERVICE: no SSH server answers at node:22" in text for text in said)
