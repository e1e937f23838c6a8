"""Spawners as Outpost's core drives them: an object for each operation, and only the stored state between them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from traitlets.config import Config

from core import driving
from core.config import JupyterHubOutpost
from core.errors import OutpostError
from core.model import Body, Identity, Inputs, JsonDict, Service, Status
from core.spawners.build import build, spawner_of
from tests.kube.api import Namespace, Object
from tests.support.waiting import eventually

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def a_service(name: str = "lab", user: str = "alice", hub: str = "hub1", **more: Any) -> Service:
    """A service whose start was just admitted; ``more`` is ``misc``, ``user_options``, ``certs``, ``trust_bundles``."""
    env = {
        "JUPYTERHUB_USER": user,
        "JUPYTERHUB_USER_ID": "7",
        "JUPYTERHUB_API_TOKEN": f"token-{uuid.uuid4().hex}",
        "JUPYTERHUB_SERVICE_PREFIX": f"/user/{user}/{name}/",
    }
    body = Body(env, more.pop("user_options", {}), more.pop("misc", {}))
    identity = Identity(hub, name, uuid.uuid4().hex[:6])
    return Service(1, identity, "7", None, Status.STARTING, 1, NOW, NOW, body, Inputs(**more))


class Spawning:
    """One Outpost's operations on pods, in this process."""

    def __init__(self, namespace: str, api: Namespace | None = None) -> None:
        """``api`` is the administrator's view of that namespace."""
        self._api = api
        self.spawner_class: Any = "kubespawner.KubeSpawner"
        self.config = Config()
        self.config.KubeSpawner.namespace = namespace
        self.config.KubeSpawner.image = "lab:1"
        self.config.KubeSpawner.cmd = ["serve"]
        self.config.KubeSpawner.start_timeout = 30
        self.events: list[JsonDict] = []
        """What the last start has forwarded to the hub."""

        self.stored: JsonDict = {}
        """The state that the last start has stored first."""

    @property
    def namespace(self) -> Namespace:
        """What the administrator sees."""
        assert self._api is not None
        return self._api

    @property
    def outpost(self) -> JupyterHubOutpost:
        """The configuration of now."""
        return JupyterHubOutpost(spawner_class=self.spawner_class, config=self.config)

    async def start(self, service: Service) -> Service:
        """Start it as ``core.starting`` does; the running service. A failed start is stopped, and raises its error."""
        self.events, self.stored = [], {}
        spawner: Any = build(service, self.outpost)
        forwarding: asyncio.Task[None] | None = None
        try:
            await driving.prepare(spawner, service)
            self.stored = driving.state_of(spawner)
            forwarding = asyncio.create_task(self._forward(spawner))
            try:
                address = await driving.response_of(spawner, await driving.start(spawner, service.inputs), self.outpost)
            except BaseException:
                with suppress(OutpostError):  # the start's own error is the one to tell
                    await driving.stop(spawner)
                raise
            state = driving.state_of(spawner)
            return replace(service, status=Status.RUNNING, state=state, start_response=address)
        finally:
            if forwarding is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(forwarding, 5)
            await spawner.close()

    async def _forward(self, spawner: Any) -> None:
        async for event in spawner.progress():
            self.events.append(event)

    async def poll(self, service: Service) -> int | None:
        """Its exit code, or None."""
        async with spawner_of(service, self.outpost) as spawner:
            return await driving.poll(spawner)

    async def poll_starting(self, service: Service) -> int | None:
        """The same while another object starts it."""
        async with spawner_of(replace(service, state=service.state or self.stored), self.outpost) as spawner:
            return await spawner.poll_starting()

    async def logs(self, service: Service) -> list[str]:
        """Its last lines."""
        async with spawner_of(service, self.outpost) as spawner:
            return await spawner.server_logs()

    async def stop(self, service: Service) -> None:
        """Stop it, and make sure that it is gone."""
        async with spawner_of(service, self.outpost) as spawner:
            await driving.stop(spawner)

    async def pod(self) -> Object:
        """The namespace's only pod, at the latest in a moment."""
        pods: list[Object] = await self.until(lambda: self.namespace.all("pods"))
        assert len(pods) == 1, [pod["metadata"]["name"] for pod in pods]
        return pods[0]

    async def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Wait for something at the cluster, while the Spawner goes on."""
        return await asyncio.to_thread(lambda: eventually(condition, 30, what))

    async def until_said(self, reason: str) -> None:
        """Wait until something of that reason was said in the namespace."""

        def said() -> bool:
            return reason in [event["reason"] for event in self.namespace.all("events")]

        await self.until(said, f"an event {reason}")
