"""What a caller that keeps nothing needs of a Spawner: a mixin in front of any Spawner class."""

from __future__ import annotations

import uuid
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from core.hooks import resolve
from core.model import Identity, JsonDict, Service
from core.spawners.own import OwnServer

if TYPE_CHECKING:

    class SpawnerBase:
        """The part of ``jupyterhub.spawner.Spawner`` that the mixins stand on; at run time it is the class itself."""

        api_token: str
        cert_paths: dict[str, str]
        environment: dict[str, Any]
        start_timeout: float
        log: Any

        def __init__(self, *arguments: Any, **options: Any) -> None: ...
        def get_env(self) -> dict[str, str]: ...
        def get_state(self) -> JsonDict: ...
        def load_state(self, state: JsonDict) -> None: ...
        def stop_polling(self) -> None: ...
        def traits(self, **metadata: Any) -> dict[str, Any]: ...
        async def poll(self) -> int | None: ...
        async def stop(self, now: bool = False) -> None: ...

else:
    SpawnerBase = object

_MIXINS = {
    "jupyterhub.spawner.LocalProcessSpawner": "core.spawners.process.StatelessProcessSpawner",
    "kubespawner.spawner.KubeSpawner": "core.spawners.kube.StatelessKubeSpawner",
    "dockerspawner.dockerspawner.DockerSpawner": "core.spawners.docker.StatelessDockerSpawner",
    "batchspawner.batchspawner.SlurmSpawner": "core.spawners.batch.StatelessSlurmSpawner",
    "batchspawner.batchspawner.BatchSpawnerBase": "core.spawners.batch.StatelessBatchSpawner",
}
"""Which class needs which mixin. By their names: nothing is imported that is not used."""

NOBODYS = Identity("outpost", "", "0")
"""Of a Spawner that is made for no service."""

OWN_STATE = "_outpost"
"""The key of Outpost's own notes beside the Spawner's in a stored state."""


class _NoDatabase:
    """The hub's database is elsewhere; there is nothing to commit."""

    def commit(self) -> None:
        """Nothing."""


_OTHER_MACHINE = frozenset({"JUPYTERHUB_SSL_KEYFILE", "JUPYTERHUB_SSL_CERTFILE", "JUPYTERHUB_SSL_CLIENT_CA"})
"""Paths on the hub's machine, which mean nothing here."""

_DECIDED_HERE = frozenset({"JUPYTERHUB_SERVICE_URL", "JUPYTERHUB_ROOT_DIR", "JUPYTERHUB_DEFAULT_URL"}) | _OTHER_MACHINE
"""Where this side has a value of its own, it wins: it knows the machine the server runs on."""


class StatelessSpawner(SpawnerBase):
    """Right for every Spawner that keeps JupyterHub's rules: its state tells all that the next object needs."""

    jupyterhub_name: str
    start_id: str
    flavor: str | None
    hub_env: dict[str, str]
    notes: JsonDict
    """Outpost's own notes; stored and restored with the Spawner's state."""

    service_id: int
    """The id of the service's row, which is this start's alone."""
    outpost_id = ""
    """Which Outpost this is; known to a start of a Spawner that ``lists_own``."""
    db = _NoDatabase()
    """Some Spawners commit what they have changed."""

    needs_mark = False
    """Must a mark be stored before the start, so that a server is found whose start was cut off?"""

    lists_own = False
    """Are servers labelled, so that ``own_servers`` can tell them?"""

    def __init__(self, *arguments: Any, service_identity: Identity = NOBODYS, **options: Any) -> None:
        """Some classes make names in their constructors, so hub and start are known before."""
        self.jupyterhub_name, _, self.start_id = service_identity
        super().__init__(*arguments, **options)

    def attach(self, service: Service) -> None:
        """Say whose server this is. Called once, before anything else."""
        self.service_id = service.id
        self.flavor = service.flavor
        self.hub_env = service.body.env
        self.api_token = service.body.api_token
        self.notes = {}

    def traits(self, **metadata: Any) -> dict[str, Any]:
        """As in traitlets, which asks for the configurable ones whenever an object is made."""
        if metadata == {"config": True}:
            own: Any = type(self)
            return dict(_configurable(own))
        return super().traits(**metadata)

    @property
    def mark(self) -> str:
        """A name for this start that nothing else has; made at first use."""
        mark: str = self.notes.setdefault("mark", uuid.uuid4().hex)
        return mark

    def get_env(self) -> dict[str, str]:
        """The Spawner's environment with the hub's in it; ``c.Spawner.environment`` of this side has the last word."""
        env = super().get_env()
        for key, value in self.hub_env.items():
            decided = key in self.environment or (key in _DECIDED_HERE and key in env)
            if not decided and key not in _OTHER_MACHINE:
                env[key] = value
        return env

    def save_state(self) -> JsonDict:
        """What the next object needs to find this server again, as JSON."""
        state = dict(self.get_state())
        return state | {OWN_STATE: dict(self.notes)} if self.notes else state

    def restore_state(self, state: JsonDict) -> None:
        """Take up what an earlier object saved."""
        self.notes = dict(state.get(OWN_STATE) or {})
        self.load_state({key: value for key, value in state.items() if key != OWN_STATE})

    async def poll_starting(self) -> int | None:
        """Poll while another object is still starting the server: what is not there yet has not ended."""
        return None

    async def is_gone(self) -> bool:
        """After ``stop()``: is the server known to be gone?"""
        return await self.poll() is not None

    async def server_logs(self) -> list[str]:
        """The server's last log lines, where the Spawner can tell them."""
        collect = getattr(self, "get_jupyter_server_logs", None)
        lines = await resolve(collect) if collect is not None else []
        return lines.splitlines() if isinstance(lines, str) else [str(line) for line in lines or ()]

    async def own_servers(self, outpost_id: str) -> list[OwnServer]:
        """All servers of the Outpost with that id, whether or not they have a row, where the Spawner ``lists_own``."""
        raise NotImplementedError

    async def remove_own(self, server: OwnServer) -> None:
        """Have that very server taken away, never one that has taken its name meanwhile. None there is success."""
        raise NotImplementedError

    async def close(self) -> None:
        """Leave nothing behind in this process."""
        self.stop_polling()


@lru_cache
def _configurable(spawner_class: Any) -> dict[str, Any]:
    """A class's traits never change: traitlets makes a new class for an object that gets more of them."""
    traits: dict[str, Any] = spawner_class.class_traits(config=True)
    return traits


@lru_cache
def stateless(spawner_class: type) -> type[StatelessSpawner]:
    """``spawner_class`` with the most specific mixin for it in front.

    The name differs from the class's own, or traitlets would apply ``c.<Class>`` twice.
    """
    bases = (_mixin_for(spawner_class), spawner_class)
    made: type[StatelessSpawner] = type(spawner_class)(f"Outpost{spawner_class.__name__}", bases, {})
    return made


def _mixin_for(spawner_class: type) -> type[StatelessSpawner]:
    for base in spawner_class.__mro__:  # the most special first
        if name := _MIXINS.get(f"{base.__module__}.{base.__qualname__}"):
            module, _, class_name = name.rpartition(".")
            mixin: type[StatelessSpawner] = getattr(import_module(module), class_name)
            return mixin
    return StatelessSpawner
