"""DockerSpawner and its subclasses: a container is known by its id and label, not by a name that others may have."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import APIError, NotFound

from core.errors import StartFailed
from core.model import JsonDict, Service
from core.spawners.adapter import StatelessSpawner

MARK_LABEL = "outpost.service"
"""On every container; finds that of a start that was cut off before its id was stored."""

LOG_LINES = 50

if TYPE_CHECKING:

    class DockerBase(StatelessSpawner):
        """The part of ``dockerspawner.DockerSpawner`` that the mixin stands on."""

        client_kwargs: JsonDict
        name: str
        object_id: str
        object_id_key: str
        object_name: str
        object_type: str
        remove: bool
        tls_config: JsonDict

        def _docker(self, method: str, *args: Any, **kwargs: Any) -> Any: ...
        def _object_name_default(self) -> str: ...
        def escape(self, text: str) -> str: ...
        async def start(self) -> Any: ...
        def template_namespace(self) -> dict[str, str]: ...

else:
    DockerBase = StatelessSpawner


class StatelessDockerSpawner(DockerBase):
    """The ``DockerSpawner`` family. Containers are removed with their service, and kept until then."""

    needs_mark = True

    def attach(self, service: Service) -> None:
        """A container's environment holds its start's token, so no later start can take it up again."""
        super().attach(service)
        self.remove = True
        self.object_name = self._object_name_default()

    def _name_template_default(self) -> str:
        """As in DockerSpawner, but of one hub and start."""
        server = "--{servername}" if self.name else ""
        return "{prefix}-{hub}-{username}" + server + "-{start_id}"

    def template_namespace(self) -> dict[str, str]:
        """What names of containers and volumes are made of, ``{hub}`` and ``{start_id}`` among it."""
        own = {"hub": self.jupyterhub_name, "start_id": self.start_id}
        return super().template_namespace() | {key: self.escape(value) for key, value in own.items()}

    @cached_property
    def client(self) -> Any:
        """A client of this object alone, by the configuration of this moment."""
        tls = {"tls": docker.tls.TLSConfig(**self.tls_config)} if self.tls_config else {}
        settings = {"version": "auto"} | tls | docker.utils.kwargs_from_env() | self.client_kwargs
        return docker.APIClient(**settings)

    @cached_property
    def executor(self) -> ThreadPoolExecutor:
        """One thread: what follows a cancelled call sees what that has done after all."""
        return ThreadPoolExecutor(1, thread_name_prefix="docker")

    @cached_property
    def _puller(self) -> ThreadPoolExecutor:
        """Pulls take minutes, and nothing needs to wait for one that nobody waits for."""
        return ThreadPoolExecutor(1, thread_name_prefix="docker-pull")

    def docker(self, method: str, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """One call of the Docker API; what is made gets the mark."""
        if method == f"create_{self.object_type}":
            labels = kwargs.get("labels") or {}
            kwargs["labels"] = dict(labels if isinstance(labels, dict) else dict.fromkeys(labels, ""))
            kwargs["labels"][MARK_LABEL] = self.mark
            if "host_config" in kwargs:
                kwargs["host_config"]["AutoRemove"] = False  # or the exit code and the log go with the container
        executor = self._puller if method == "pull" else self.executor
        return asyncio.wrap_future(executor.submit(self._docker, method, *args, **kwargs))

    async def get_object(self) -> JsonDict | None:
        """What the engine knows of this start's own container; None when there is none."""
        found = self.object_id or await self._find_marked()
        self.object_id = ""
        if not found:
            return None
        try:
            inspected: JsonDict = await self.docker(f"inspect_{self.object_type}", found)
        except NotFound:
            return None
        self.object_id = inspected[self.object_id_key]
        return inspected

    async def _find_marked(self) -> str:
        if "mark" not in self.notes:
            return ""
        which: JsonDict = {"all": True} if self.object_type == "container" else {}
        label = f"{MARK_LABEL}={self.notes['mark']}"
        found = await self.docker(f"{self.object_type}s", filters={"label": label}, **which)
        return str(found[0][self.object_id_key]) if found else ""

    async def start(self) -> Any:
        """Start the container. Raises ``StartFailed`` in the engine's own words, or the container's last ones."""
        try:
            return await super().start()
        except APIError as error:
            raise StartFailed(str(error.explanation or error)) from error
        except Exception as error:
            ended = await self.poll() if self.object_id else None
            if ended is None:
                raise
            last = [*await self.server_logs(), str(error)][-2]
            raise StartFailed(f"The container ended with exit code {ended}: {last}") from error

    async def poll(self) -> int | None:
        """The container's exit code; 0 when it was removed by somebody else."""
        status: object = await super().poll()  # a text, whatever the base class says
        if status is None or isinstance(status, int):
            return status
        code = re.search(r"\bExitCode'?[=:] *(-?\d+)", str(status))
        return int(code[1]) if code else 1

    async def stop(self, now: bool = False) -> None:
        """Stop and remove the container, if there is one."""
        if await self.get_object() is not None:
            await super().stop(now)

    async def server_logs(self) -> list[str]:
        """The container's last lines."""
        if self.object_type != "container" or await self.get_object() is None:
            return await super().server_logs()
        text: bytes = await self.docker("logs", self.object_id, tail=LOG_LINES)
        return text.decode(errors="replace").splitlines()

    async def close(self) -> None:
        """Close the connections to the engine, and end the threads as soon as their calls have ended."""
        await super().close()
        made = vars(self)
        for name in ("executor", "_puller"):
            if name in made:
                made[name].shutdown(wait=False, cancel_futures=True)
        if "client" in made:
            made["client"].close()
