"""Servers that exist in memory only, the Spawner that makes them, and Outposts that run it step by step."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

from jupyterhub.spawner import Spawner

from core.background import Background
from core.config import JupyterHubOutpost
from core.errors import HubUnreachable, StoreUnavailable
from core.expiry import expire
from core.flavor_updates import FlavorTeller, InProcessUpdates
from core.hub_calls import HubCalls
from core.lifecycle import Lifecycle
from core.meter import NotCounted
from core.model import JsonDict
from core.notify import Notifier
from core.orphans import Orphans
from core.parts import Parts
from core.quota import Limits
from core.recover import recover
from core.spawners.own import OwnServer
from infra.store import SqlStore
from tests.support.interleaving import Process, Scheduler

LEASE = timedelta(seconds=30)


@dataclass
class World:
    """What really exists."""

    scheduler: Scheduler
    servers: dict[str, str] = field(default_factory=dict)
    """The server's owner, a service's name, by the server's own."""
    ended: set[str] = field(default_factory=set)
    """Servers that have ended by themselves, and whose remains are still there."""
    one_name: bool = False
    """Is a server called after its service, as pods are? Else each has a name of its own."""
    most_at_once: int = 0
    labels: dict[str, OwnServer] = field(default_factory=dict)
    """Whose start each server is of, by its name."""
    on_orphan: Callable[[OwnServer], None] = lambda _: None
    """Told of each server that is taken away for having no row."""
    told_failed: list[str] = field(default_factory=list)
    """The tokens of the starts of which the hub heard that they failed."""
    is_calm: bool = False

    def create(self, server: str, service: str, service_id: int) -> None:
        """Bring a server into being."""
        self.servers[server] = service
        self.labels[server] = OwnServer(service_id, service, server, uuid.uuid4().hex, self.scheduler.clock())
        self.ended.discard(server)
        running = [name for name in self.servers if name not in self.ended]
        self.most_at_once = max(self.most_at_once, len(running))

    def remove(self, server: str) -> None:
        """End a server, and clear its remains away."""
        self.servers.pop(server, None)
        self.ended.discard(server)

    @asynccontextmanager
    async def listing_spawner(self, _: JupyterHubOutpost) -> AsyncIterator[World]:
        """What looks for servers without a row looks here."""
        yield self

    async def own_servers(self, outpost_id: str) -> list[OwnServer]:
        """All that exist."""
        return await self.scheduler.gate("list servers", lambda: [self.labels[server] for server in self.servers])

    async def remove_own(self, server: OwnServer) -> None:
        """That very server."""

        def remove() -> None:
            if server.place in self.servers and self.labels[server.place] == server:
                self.on_orphan(server)
                self.remove(server.place)

        await self.scheduler.gate(f"remove orphan {server.place}", remove)


class WorldSpawner(Spawner):  # type: ignore[misc]  # JupyterHub has no types
    """Each of its steps waits at the gate. ``user_options`` choose what goes wrong."""

    world: ClassVar[World]
    server = ""

    def name_it(self) -> None:
        """Before the start, so that the name is stored first."""
        mine: Any = self
        token = mine.hub_env["JUPYTERHUB_API_TOKEN"]
        self.server = self.name if self.world.one_name else f"{self.name}-{token}-{uuid.uuid4().hex[:4]}"

    async def run_pre_spawn_hook(self) -> None:
        """Where KubeSpawner has made up the pod's name long ago."""
        self.name_it()

    def option(self, name: str) -> Any:
        """What goes wrong; nothing does in a calm world."""
        return None if self.world.is_calm else self.user_options.get(name)

    async def step(self, name: str, *call: Any) -> Any:
        """One call to the world."""
        return await self.world.scheduler.gate(f"{name} {self.server}", lambda: call[0](*call[1:]) if call else None)

    async def start(self) -> str:
        """Create the server, and see it come up."""
        mine: Any = self
        await self.step("prepare")
        if self.option("fail") == "before":
            raise RuntimeError("fails before")
        await self.step("create", self.world.create, self.server, self.name, mine.service_id)
        await asyncio.sleep(self.option("slow") or 0)
        if self.option("fail") == "after":
            raise RuntimeError("fails after")
        await self.step("ready")
        return "http://127.0.0.1:1"

    async def poll(self) -> int | None:
        """None while it runs."""

        def look() -> int | None:
            return None if self.server in self.world.servers and self.server not in self.world.ended else 0

        status: int | None = await self.step("poll", look)
        return status

    async def stop(self, now: bool = False) -> None:
        """Remove the server."""
        if self.option("stop") == "raises" and self.world.scheduler.random.random() < 0.5:
            await self.step("stop fails")
            raise RuntimeError("does not want to")
        await self.step("remove", self.world.remove, self.server)

    def get_state(self) -> dict[str, Any]:
        """The name is all."""
        return {"server": self.server} if self.server else {}

    def load_state(self, state: dict[str, Any]) -> None:
        """The name is all."""
        self.server = state.get("server", "")

    def clear_state(self) -> None:
        """No name any more."""
        self.server = ""

    async def progress(self) -> Any:
        """Says nothing."""
        nothing: list[dict[str, Any]] = []
        for event in nothing:
            yield event


class Hub:
    """Takes what it is told, or is away; implements ``core.ports.HubClient``."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def call(
        self, method: str, url: str, token: str, body: Mapping[str, object] | None, **_: object
    ) -> tuple[int, bytes]:
        """One call."""

        def hear() -> tuple[int, bytes]:
            if not self._world.is_calm and self._world.scheduler.random.random() < 0.2:
                raise HubUnreachable("away")
            if body and body.get("failed"):
                self._world.told_failed.append(token)
            return 204, b""

        return await self._world.scheduler.gate("tell hub", hear)


class LossyDispatcher:
    """Wake-ups reach any process, twice, late or never; implements ``core.ports.Dispatcher``."""

    def __init__(self, world: World, replicas: list[Replica]) -> None:
        self._scheduler = world.scheduler
        self._world = world
        self._replicas = replicas

    async def wake(self, service_ids: Sequence[int]) -> None:
        """Perhaps."""
        for service_id in service_ids:
            times = 1 if self._world.is_calm else self._scheduler.random.choice([0, 1, 1, 1, 2])
            for _ in range(times):
                await self._scheduler.gate(f"wake {service_id}", lambda row=service_id: self._deliver(row))  # type: ignore[misc]

    def _deliver(self, service_id: int) -> None:
        living = [replica for replica in self._replicas if not replica.process.died.is_set()]
        replica = self._scheduler.random.choice(living)
        asyncio.get_running_loop().call_soon(
            lambda: replica.process.run(replica.carry_on(service_id)),
        )


class Replica:
    """One Outpost process with the real life cycle."""

    def __init__(self, world: World, store: SqlStore, outpost: JupyterHubOutpost, replicas: list[Replica]) -> None:
        scheduler = world.scheduler
        self.process = Process(f"p{len(scheduler.processes) + 1}")
        scheduler.processes.append(self.process)
        self._store, self._clock = store, scheduler.clock
        self.dispatcher = LossyDispatcher(world, replicas)
        self.runtime: timedelta | None = None
        self.errors: list[Exception] = []
        """What has come out of work that nobody waits for."""
        parts = Parts(
            store=store,
            outpost=lambda: outpost,
            limits_of=self._limits,
            notifier=self._notifier(world, outpost),
            meter=NotCounted(),
            dispatcher=self.dispatcher,
            clock=scheduler.clock,
            owner=self.process.name,
            lease_time=LEASE,
        )
        self.lifecycle = Lifecycle(parts)
        self.orphans = Orphans(store, parts.outpost, scheduler.clock)
        replicas.append(self)

    async def _limits(self, hub: str, flavor: str | None, authentication: JsonDict | None) -> Limits:
        return Limits("small", runtime=self.runtime)

    def _notifier(self, world: World, outpost: JupyterHubOutpost) -> Notifier:
        def config() -> JupyterHubOutpost:
            return outpost

        calls, background = HubCalls(Hub(world), config, NotCounted()), Background()
        updates = InProcessUpdates(FlavorTeller(calls, config, self._no_flavors), background)
        return Notifier(calls, config, updates, background, self._clock)

    async def _no_flavors(self, _: str) -> dict[str, Any]:
        return {}

    async def carry_on(self, service_id: int) -> None:
        """As ``core.background`` does: what fails is known, and recovery comes again."""
        try:
            await self.lifecycle.carry_on(service_id)
        except StoreUnavailable:
            return
        except Exception as error:  # noqa: BLE001  # the test's to tell
            self.errors.append(error)

    async def tick(self, orphans: bool) -> None:
        """The schedules, once."""
        await recover(self._store, self.dispatcher, self._clock, LEASE)
        await expire(self._store, self.lifecycle.expire, self._clock)
        if orphans:
            await self.orphans.look(delete=True)
