"""What hubs are told of flavors: few calls, in order, with patience."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from core.background import Background
from core.config import JupyterHubOutpost
from core.errors import HubUnreachable
from core.flavor_updates import FlavorTeller, FlavorUpdate, InProcessUpdates
from core.hub_calls import HubCalls
from core.meter import NotCounted
from core.model import JsonDict


class Hub:
    """Takes calls, or fails so many times."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.failures = 0
        self.calls_at_once = 0

    async def call(
        self, method: str, url: str, token: str, body: Mapping[str, object] | None, **_: object
    ) -> tuple[int, bytes]:
        """One call."""
        self.calls_at_once += 1
        assert self.calls_at_once == 1, "calls overtake each other"
        await asyncio.sleep(0)
        self.calls_at_once -= 1
        if self.failures:
            self.failures -= 1
            raise HubUnreachable("away")
        self.told.append(body)
        return 200, b""


class World:
    """A notifier in front of a hub, with a clock that nobody waits for."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.current = 0
        self.pauses: list[float] = []
        self.background = Background()
        outpost = JupyterHubOutpost()
        teller = FlavorTeller(HubCalls(self.hub, lambda: outpost, NotCounted()), lambda: outpost, self.flavors)
        self.updates = InProcessUpdates(teller, self.background, self.pause)

    async def flavors(self, hub: str) -> JsonDict:
        """What is true at this moment."""
        return {"small": {"current": self.current}}

    async def pause(self, seconds: float) -> None:
        """Time passes at once."""
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    def change(self) -> None:
        """A service comes or goes."""
        self.current += 1
        self.updates.changed(FlavorUpdate("hub", "http://hub/flavors", "", ""))


@pytest.fixture
def world() -> World:
    """A new one."""
    return World()


async def test_changes_at_once_go_with_one_call(world: World) -> None:
    for _ in range(50):
        world.change()
    await world.background.drain(5)
    assert world.hub.told == [{"small": {"current": 50}}]


async def test_the_last_change_is_told_however_many_there_are(world: World) -> None:
    for _ in range(200):
        world.change()
        await asyncio.sleep(0)
    await world.background.drain(5)
    assert world.hub.told[-1] == {"small": {"current": 200}}
    assert max(world.pauses) < 1, "a hub that answers is not kept waiting"


async def test_a_hub_that_comes_back_gets_what_is_true_then(world: World) -> None:
    world.hub.failures = 3
    world.change()
    await world.background.drain(5)
    assert world.hub.told == [{"small": {"current": 1}}]
    assert world.pauses[1:4] == [1, 2, 5]


async def test_a_hub_that_stays_away_is_given_up_until_the_next_change(world: World) -> None:
    world.hub.failures = 6
    world.change()
    await world.background.drain(5)
    assert world.hub.told == []
    world.change()
    await world.background.drain(5)
    assert world.hub.told == [{"small": {"current": 2}}]
