"""How long a hub that fails is asked, how many at once, and what a hub that is away is spared."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import URL

from core.background import Background
from core.config import JupyterHubOutpost
from core.errors import HubFailed, HubUnreachable
from core.hub_calls import HubCalls
from core.meter import NotCounted
from core.model import Body, Identity, Inputs, NewService, Status
from core.tunnels import Tunnels
from infra.crypto import Sealer
from infra.database import Database
from infra.schema import migrate
from infra.store import SqlStore

START = datetime(2030, 1, 1, tzinfo=UTC)
TICK = timedelta(seconds=30)


async def at_once(_: str) -> None:
    """Nothing comes between a call and its answer."""


class World:
    """A hub, a clock that stands still between ticks, and services whose tunnels are gone."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self.now = START
        self.asked: Counter[str] = Counter()
        self.most_at_once = self.at_once = self.at_once_at_first = 0
        self.answer: int | type[HubUnreachable] = 204
        self.gone: set[str] = set()
        self.meanwhile = at_once
        self.store = SqlStore(database, sealer, lambda: self.now)
        self.store.ssh_restarted("1")
        self.background = Background()

    def services(self, number: int) -> None:
        """Make so many that run, and restart the SSH node."""
        for index in range(number):
            env = {"JUPYTERHUB_SETUPTUNNEL_URL": f"https://hub/{index}", "JUPYTERHUB_API_TOKEN": "token"}
            body = Body(env=env)
            new = NewService(Identity("hub", f"s{index}", "0"), None, body, Inputs())
            self.store.swap(self.store.admit(new), status=Status.RUNNING, start_response="http://a:1")
        self.store.ssh_restarted("2")

    def replica(self) -> Tunnels:
        """One Outpost."""
        calls = HubCalls(self, JupyterHubOutpost, NotCounted())
        lease = timedelta(seconds=30)
        return Tunnels(
            self.store, JupyterHubOutpost, calls, self.background, lambda: self.now, lease_time=lease, budget=24
        )

    async def call(
        self,
        method: str,
        url: str,
        token: str,
        body: Mapping[str, object] | None,
        *,
        ca: str,
        options: Mapping[str, object],
    ) -> tuple[int, bytes]:
        """The hub."""
        self.asked[url] += 1
        await self.meanwhile(url)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)
        if self.asked.total() == 1:
            self.at_once_at_first = self.at_once
        self.at_once -= 1
        if url in self.gone:
            raise HubUnreachable("nobody is there")
        if isinstance(self.answer, int):
            return self.answer, b""
        raise self.answer("it does not")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """On a database of its own."""
    sealer = Sealer(Fernet.generate_key().decode())
    database = Database(URL.create("sqlite", database=str(tmp_path / "outpost.sqlite")))
    migrate(database, sealer)
    yield World(database, sealer)
    database.close()


async def test_the_first_call_is_alone_and_the_others_are_bounded(world: World) -> None:
    """It opens the connection that all tunnels share; an SSH server drops many that come at once."""
    world.services(60)
    assert await world.replica().rebuild() == 60
    assert world.at_once_at_first == 1
    assert 1 < world.most_at_once <= 20


async def test_two_replicas_at_once_ask_once_for_each(world: World) -> None:
    world.services(60)
    done = await asyncio.gather(*(world.replica().rebuild() for _ in range(3)))
    assert sum(done) == 60
    assert set(world.asked.values()) == {1}
    assert len(world.asked) == 60


async def test_a_pass_that_is_cancelled_finishes_what_it_asked_for(world: World) -> None:
    world.services(60)
    running = asyncio.create_task(world.replica().rebuild())
    while world.asked.total() < 30:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await world.background.drain(10)
    assert world.asked.total() < 60
    await world.replica().rebuild()
    assert set(world.asked.values()) == {1}
    assert len(world.asked) == 60


async def test_a_hub_that_is_away_is_asked_a_few_times_a_pass_and_for_ever(world: World) -> None:
    world.services(60)
    world.answer = HubUnreachable
    for _ in range(100):
        before = world.asked.total()
        assert await world.replica().rebuild() == 0
        assert 1 <= world.asked.total() - before <= 3
        world.now += TICK
    world.answer, world.asked = 204, Counter()
    assert await world.replica().rebuild() == 60


async def test_a_hub_that_fails_is_asked_less_and_less_and_at_last_no_more(world: World) -> None:
    world.services(1)
    world.answer = HubFailed
    times = []
    for _ in range(500):
        before = world.asked.total()
        await world.replica().rebuild()
        if world.asked.total() > before:
            times.append(world.now)
        world.now += TICK
    assert len(times) == world.asked.total() == 20
    assert times[1] - times[0] == TICK
    assert times[-1] - times[-2] == timedelta(seconds=600)
    assert times[-1] - times[0] > timedelta(hours=2)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_hub_that_refuses_is_asked_once(world: World, status: int) -> None:
    world.services(5)
    world.answer = status
    for _ in range(5):
        await world.replica().rebuild()
        world.now += TICK
    assert world.asked.total() == 5


async def test_a_service_that_was_tried_in_vain_comes_after_the_others(world: World) -> None:
    world.services(5)
    world.answer = HubUnreachable
    await world.replica().rebuild()
    first = list(world.asked)[:3]
    world.asked, world.answer = Counter(), 204
    world.now += TICK
    await world.replica().rebuild()
    assert next(iter(world.asked)) not in first
    assert len(world.asked) == 5


async def test_services_that_started_before_the_hub_moved_keep_no_newer_one_waiting(world: World) -> None:
    world.services(100)
    world.gone = {f"https://hub/{index}" for index in range(90)}
    await world.replica().rebuild()
    assert {url for url in world.asked if url not in world.gone} == {f"https://hub/{index}" for index in range(90, 100)}


async def test_an_answer_that_comes_after_the_next_restart_changes_nothing(world: World) -> None:
    world.services(1)

    async def restart_meanwhile(_: str) -> None:
        world.meanwhile = at_once
        world.store.ssh_restarted("3")
        assert await world.replica().rebuild() == 1

    world.meanwhile = restart_meanwhile
    await world.replica().rebuild()
    for _ in range(3):
        world.now += TICK
        await world.replica().rebuild()
    assert world.asked.total() == 2, "once for each restart"
