"""Starts, stops, polls and schedules of one service race in every order: the rows and the world agree in the end.

One seed is one order. ``OUTPOST_SEEDS=7`` repeats that one, ``OUTPOST_SEEDS=0:5000`` runs more of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import URL, delete, event, select

from core import orphans, threads
from core.config import JupyterHubOutpost
from core.errors import ServiceExists, ServiceNotFound, StartCancelled, StoreUnavailable
from core.model import Body, Identity, Inputs, NewService, Status
from core.spawners.own import OwnServer
from infra.crypto import Sealer
from infra.database import Database
from infra.schema import migrate
from infra.store import SqlStore
from infra.tables import services
from tests.support.interleaving import Faults, Loop, Scheduler
from tests.support.world import Replica, World, WorldSpawner

IDENTITY = Identity("hub", "a", "0")
SETTLE_SECONDS = 4 * 3600
FAULTS = {
    "races": Faults(),
    "crashes": Faults(crash=0.01),
    "outages": Faults(crash=0.003, outage=0.1, most=6),
    "freezes": Faults(crash=0.005, freeze=0.04),
}


class Run:
    """One interleaving."""

    def __init__(self, seed: int, database: Database, sealer: Sealer, outpost: JupyterHubOutpost) -> None:
        kinds = list(FAULTS)
        self.kind = kinds[seed % len(kinds)]
        self.scheduler = Scheduler(seed, FAULTS[self.kind])
        self.random = self.scheduler.random
        self.world = WorldSpawner.world = World(self.scheduler, one_name=self.random.random() < 0.5)
        self.database = database
        self.store = SqlStore(database, sealer, self.scheduler.clock)
        self.outpost = outpost
        self.replicas: list[Replica] = []
        self.stops = self.random.choice([0, 0, 1, 1, 2])
        self.runtime = timedelta(seconds=10) if self.random.random() < 0.25 else None
        self.may_end = self.random.random() < 0.2
        self.looks_for_orphans = self.random.random() < 0.3
        """Only in some runs: it would hide what is left behind."""
        self.world.on_orphan = self.check_orphan
        self.problems: list[str] = []
        self.accepted: list[str] = []
        self.scheduler.on_death = self.add_replica

    def add_replica(self) -> None:
        """A new process, which takes the place of a dead one."""
        replica = Replica(self.world, self.store, self.outpost, self.replicas)
        replica.runtime = self.runtime

    def living(self) -> Replica:
        """Any process that lives."""
        return self.random.choice([replica for replica in self.replicas if not replica.process.died.is_set()])

    async def play(self) -> None:
        """The race, then peace, then the comparison."""
        self.add_replica()
        self.add_replica()
        clients = [self.start(f"start-{number}") for number in range(2)]
        clients += [self.stop() for _ in range(self.stops)]
        clients += [self.poll(), *([self.end_by_itself()] if self.may_end else [])]
        ticks = asyncio.create_task(self.tick_forever())
        await asyncio.gather(*clients)
        await asyncio.sleep(self.random.uniform(0, 90))
        self.scheduler.calm()
        self.world.is_calm = True
        await self.settle()
        ticks.cancel()
        self.problems += [repr(error) for replica in self.replicas for error in replica.errors]
        self.compare()

    async def tick_forever(self) -> None:
        """The schedules of all processes."""
        while True:
            await asyncio.sleep(self.random.uniform(2, 15))
            replica = self.living()
            replica.process.run(self.tolerant(replica.tick(self.looks_for_orphans)))

    async def tolerant(self, work: Awaitable[Any]) -> None:
        """As ``handlers.schedules`` does."""
        try:
            await work
        except StoreUnavailable:
            return
        except Exception as error:  # noqa: BLE001  # the test's to tell
            self.problems.append(repr(error))

    async def start(self, token: str) -> None:
        """A hub that starts the server, and tries again while it exists."""
        wait = self.random.random() < 0.5
        trouble = {"fail": self.random.choice([None, None, None, "before", "after"]),
                   "slow": self.random.choice([0, 1, 5]), "stop": self.random.choice([None, "raises"])}  # fmt: skip
        env = {"JUPYTERHUB_API_TOKEN": token, "JUPYTERHUB_EVENTS_URL": "http://hub"}
        new = NewService(IDENTITY, "small", Body(env=env, user_options=trouble), Inputs())
        for _ in range(3):
            await asyncio.sleep(self.random.uniform(0, 6))
            replica = self.living()
            self.scheduler.note(replica.process, f"{token} is asked for", "sync" if wait else "async")
            try:
                answer = await replica.process.answer(replica.lifecycle.start(new, None, wait))
            except ServiceExists:
                continue
            except StartCancelled:
                if not self.stops and not self.runtime and self.kind != "freezes":
                    self.problems.append(f"{token} was cancelled, and nobody had asked for it")
            except Exception as error:  # noqa: BLE001  # a hub shows it to its user
                self.scheduler.note(None, f"{token} failed", repr(error))
            else:
                self.accepted += [] if wait else [token]
                self.scheduler.note(None, f"{token} was answered", answer)
            return

    async def stop(self) -> None:
        """A hub that stops it."""
        await asyncio.sleep(self.random.choice([self.random.uniform(0, 8), self.random.uniform(0, 60)]))
        replica, wait = self.living(), self.random.random() < 0.6
        self.scheduler.note(replica.process, "a stop is asked for", "sync" if wait else "async")
        try:
            await replica.process.answer(replica.lifecycle.stop(IDENTITY, {}, wait))
        except Exception as error:  # noqa: BLE001  # a hub goes on
            self.scheduler.note(None, "stop failed", repr(error))

    async def poll(self) -> None:
        """A hub that looks now and then."""
        for _ in range(3):
            await asyncio.sleep(self.random.uniform(0, 10))
            replica = self.living()
            try:
                polled = await replica.process.answer(replica.lifecycle.poll(IDENTITY, {}))
            except (ServiceNotFound, StoreUnavailable, ConnectionError):
                continue
            if polled.status is not None and not (self.stops or self.runtime or self.may_end):
                self.problems.append("a poll said that the server had ended, which it never did")

    async def end_by_itself(self) -> None:
        """A server whose user has shut it down."""
        await asyncio.sleep(self.random.uniform(0, 20))
        for server in list(self.world.servers):
            self.scheduler.note(None, f"{server} ends by itself")
            self.world.ended.add(server)

    def rows(self) -> list[Any]:
        """The status of each row."""
        with self.database.read() as db:
            return list(db.execute(select(services.c.id, services.c.status, services.c.lease_until)))

    async def settle(self) -> None:
        """Wait until there is nothing to carry on."""
        until = self.scheduler.now + SETTLE_SECONDS
        while self.scheduler.now < until:
            await asyncio.sleep(15)
            busy = [task for p in self.scheduler.living for task in p.tasks if not task.done()]
            over = all(status == Status.RUNNING for _, status, _ in self.rows())
            if over and not busy and not (self.runtime and self.rows()):
                return
        self.problems.append(f"there is no end: {self.rows()}")

    def compare(self) -> None:
        """The promises."""
        self.scheduler.note(None, "the end", f"rows {self.rows()}, servers {self.world.servers}")
        if len(self.rows()) != len(self.world.servers):
            self.problems.append(f"rows {self.rows()}, but servers {self.world.servers}")
        if any(lease for *_, lease in self.rows()):
            self.problems.append("a running service has a lease")
        if self.world.most_at_once > 1 and self.kind != "freezes":
            self.problems.append(f"{self.world.most_at_once} servers at once")
        if not self.stops and not self.runtime and not self.may_end and self.kind != "freezes":
            self.check_told()

    def check_orphan(self, server: OwnServer) -> None:
        """A server with a row is none."""
        if any(row_id == server.service_id for row_id, *_ in self.rows()):
            self.problems.append(f"{server.place} was taken for one without a row")

    def check_told(self) -> None:
        """Nobody stopped anything: a start that was accepted runs, or its hub knows that it failed."""
        running = []
        for row_id, *_ in self.rows():
            row = self.store.load(row_id)
            assert row is not None
            running.append(row.body.env["JUPYTERHUB_API_TOKEN"])
        self.problems += [
            f"{token} neither runs nor was its hub told"
            for token in self.accepted
            if token not in running and token not in self.world.told_failed
        ]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A SQLite file that outlives no power cut."""
    made = Database(URL.create("sqlite", database=str(tmp_path / "world.sqlite")))
    event.listen(made.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    migrate(made, Sealer(Fernet.generate_key().decode()))
    yield made
    made.close()


@pytest.fixture
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def seeds() -> range:
    """Which orders to play."""
    first, _, last = os.environ.get("OUTPOST_SEEDS", "0:1000").partition(":")
    return range(int(first), int(last or int(first) + 1))


@pytest.mark.slow
@pytest.mark.usefixtures("_quiet")
def test_rows_and_world_agree_after_every_interleaving(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sealer = Sealer(Fernet.generate_key().decode())
    outpost = JupyterHubOutpost(spawner_class=WorldSpawner)
    outpost.config.Spawner.start_timeout = 20
    for seed in seeds():
        with database.write() as db:
            db.execute(delete(services))
        run = Run(seed, database, sealer, outpost)
        monkeypatch.setattr(threads, "_executor", run.scheduler)
        monkeypatch.setattr(orphans, "listing_spawner", run.world.listing_spawner)
        monkeypatch.setattr(orphans, "MIN_AGE", timedelta())
        loop = Loop(run.scheduler)
        try:
            loop.run_until_complete(run.play())
        except BaseException as error:  # noqa: BLE001  # reported with its seed
            run.problems.append(repr(error))
        finally:
            loop.abandon()
        trace = "\n".join(run.scheduler.trace)
        assert not run.problems, f"OUTPOST_SEEDS={seed} ({run.kind}): {run.problems}\n{trace}"
