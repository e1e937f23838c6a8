"""Servers without a row: found, reported once, and taken away only where nothing else is possible."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import URL

from core import orphans as looking
from core.config import JupyterHubOutpost
from core.errors import StoreUnavailable
from core.model import Body, Identity, Inputs, NewService, Status
from core.orphans import MIN_AGE, Orphans
from core.spawners.own import OwnServer
from infra import schema
from infra.crypto import Sealer
from infra.database import Database
from infra.store import SqlStore
from tests.support.clock import Clock


@dataclass
class Place:
    """Where servers are; what a Spawner that lists its own does there."""

    servers: list[tuple[str, OwnServer]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    after_list: Callable[[], object] = lambda: None
    fails: bool = False

    def add(self, outpost_id: str, service_id: int, created: datetime, uid: str = "u1") -> None:
        """Start a server."""
        server = OwnServer(service_id, "hub/a/0", f"jupyter/pod-{uid}", uid, created)
        self.servers.append((outpost_id, server))

    async def own_servers(self, outpost_id: str) -> list[OwnServer]:
        """Then something else happens."""
        if self.fails:
            raise ConnectionError("the infrastructure is away")
        found = [server for owner, server in self.servers if owner == outpost_id]
        happens, self.after_list = self.after_list, lambda: None
        happens()
        return found

    async def remove_own(self, server: OwnServer) -> None:
        """By its uid."""
        self.removed.append(server.uid)
        self.servers = [(owner, one) for owner, one in self.servers if one.uid != server.uid]


@pytest.fixture
def database(database_url: URL) -> Iterator[Database]:
    """A new database."""
    made = Database(database_url)
    schema.migrate(made, Sealer(Fernet.generate_key().decode()))
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    """It stands still."""
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> SqlStore:
    """The truth."""
    return SqlStore(database, Sealer(Fernet.generate_key().decode()), clock)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    """Nothing runs there yet."""
    made = Place()

    @asynccontextmanager
    async def spawner(_: JupyterHubOutpost) -> AsyncIterator[Place]:
        yield made

    monkeypatch.setattr(looking, "listing_spawner", spawner)
    return made


@pytest.fixture
def orphans(store: SqlStore, clock: Clock, place: Place) -> Orphans:
    """One process's passes."""
    return Orphans(store, JupyterHubOutpost, clock)


def admit(store: SqlStore, name: str = "a") -> int:
    """A row's id."""
    return store.admit(NewService(Identity("hub", name, "0"), None, Body(), Inputs())).id


def remove(store: SqlStore, service_id: int) -> None:
    """The end of a row."""
    service = store.load(service_id)
    assert service is not None
    assert store.delete(service)


def old(clock: Clock) -> datetime:
    """Old enough to be taken away."""
    return clock() - MIN_AGE


async def test_a_server_without_a_row_is_reported_once(
    orphans: Orphans, store: SqlStore, place: Place, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    place.add(store.outpost_id(), 99, old(clock))
    assert [await orphans.look(delete=False) for _ in range(3)] == [1, 1, 1]
    (told,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert told.getMessage() == "hub/a/0 - jupyter/pod-u1 has no row, so no hub knows it"
    assert place.removed == []


@pytest.mark.parametrize("status", list(Status))
async def test_a_server_with_a_row_stays_whatever_becomes_of_it(
    orphans: Orphans, store: SqlStore, place: Place, clock: Clock, status: Status
) -> None:
    service = store.load(admit(store))
    assert service is not None
    store.swap(service, status=status)
    place.add(store.outpost_id(), service.id, old(clock))
    assert await orphans.look(delete=True) == 0
    assert place.removed == []


async def test_the_server_of_an_earlier_start_of_the_same_service_goes(
    orphans: Orphans, store: SqlStore, place: Place, clock: Clock
) -> None:
    earlier = admit(store)
    remove(store, earlier)
    place.add(store.outpost_id(), earlier, old(clock), "u1")
    place.add(store.outpost_id(), admit(store), old(clock), "u2")
    assert await orphans.look(delete=True) == 1
    assert place.removed == ["u1"]


async def test_a_server_is_left_alone_for_half_an_hour(
    orphans: Orphans, store: SqlStore, place: Place, clock: Clock
) -> None:
    place.add(store.outpost_id(), 99, clock() - MIN_AGE + timedelta(seconds=1))
    assert await orphans.look(delete=True) == 1
    assert place.removed == []
    clock.forward(seconds=1)
    assert await orphans.look(delete=True) == 1
    assert place.removed == ["u1"]


async def test_a_start_between_the_two_looks_is_no_orphan(
    orphans: Orphans, store: SqlStore, place: Place, clock: Clock
) -> None:
    admitted = admit(store)
    place.after_list = lambda: place.add(store.outpost_id(), admit(store, "b"), old(clock), "u2")
    place.add(store.outpost_id(), admitted, old(clock))
    assert await orphans.look(delete=True) == 0
    assert place.removed == []


async def test_a_stop_between_the_two_looks_is_no_orphan(
    orphans: Orphans, store: SqlStore, place: Place, clock: Clock
) -> None:
    service_id = admit(store)

    def stop() -> None:
        place.servers.clear()
        remove(store, service_id)

    place.add(store.outpost_id(), service_id, old(clock))
    place.after_list = stop
    assert await orphans.look(delete=True) == 0
    assert place.removed == []


async def test_servers_of_another_outpost_are_none_of_ours(orphans: Orphans, place: Place, clock: Clock) -> None:
    place.add("another outpost", 99, old(clock))
    assert await orphans.look(delete=True) == 0
    assert place.removed == []


async def test_a_dry_run_lists_and_takes_nothing_away(
    orphans: Orphans, store: SqlStore, place: Place, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    place.add(store.outpost_id(), 99, old(clock))
    assert [await orphans.look(delete=True, dry_run=True) for _ in range(2)] == [1, 1]
    assert caplog.messages == ["hub/a/0 - jupyter/pod-u1 has no row; it would be deleted"] * 2
    assert place.removed == []


async def test_infrastructure_that_does_not_answer_has_no_orphans(
    orphans: Orphans, store: SqlStore, place: Place, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    place.add(store.outpost_id(), 99, old(clock))
    place.fails = True
    assert await orphans.look(delete=True) == 0
    assert caplog.messages == ["servers without a row cannot be looked for now: the infrastructure is away"]
    assert place.removed == []


async def test_a_database_that_goes_away_meanwhile_has_no_orphans(
    orphans: Orphans, store: SqlStore, place: Place, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.add(store.outpost_id(), 99, old(clock))

    def away(_: object) -> list[int]:
        raise StoreUnavailable("away")

    monkeypatch.setattr(store, "missing", away)
    with pytest.raises(StoreUnavailable):
        await orphans.look(delete=True)
    assert place.removed == []


async def test_a_database_that_is_replaced_meanwhile_has_no_orphans(
    orphans: Orphans, store: SqlStore, place: Place, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.add(store.outpost_id(), 99, old(clock))
    ids = [store.outpost_id(), "another"]
    monkeypatch.setattr(store, "outpost_id", lambda: ids.pop(0))
    assert await orphans.look(delete=True) == 0
    assert place.removed == []


def test_the_id_comes_with_the_database(database: Database, store: SqlStore, clock: Clock) -> None:
    replica = SqlStore(database, Sealer(Fernet.generate_key().decode()), clock)
    assert replica.outpost_id() == store.outpost_id()
    assert len(store.outpost_id()) == 32


def test_another_database_is_another_outpost(store: SqlStore, tmp_path: Path, clock: Clock) -> None:
    other = Database(URL.create("sqlite", database=str(tmp_path / "other.sqlite")))
    try:
        sealer = Sealer(Fernet.generate_key().decode())
        schema.migrate(other, sealer)
        assert SqlStore(other, sealer, clock).outpost_id() != store.outpost_id()
    finally:
        other.close()


def test_ids_are_looked_up_in_any_number(store: SqlStore) -> None:
    there = admit(store)
    assert store.missing([]) == []
    assert store.missing([*range(5000)]) == [number for number in range(5000) if number != there]
