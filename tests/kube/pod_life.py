"""What becomes of one pod on the stand-in's node, told to the API server step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.kube.container import Container, Ended
from tests.kube.kubelet_api import NODE, NodeApi, Object, Refused, now
from tests.kube.scenarios import Scenario, Step

BACK_OFF_SECONDS = 10.0
"""Between two lives of a container that keeps ending, after its second."""


class PodLife:
    """A pod from its creation to its end. All methods run on the kubelet's loop."""

    def __init__(
        self,
        api: NodeApi,
        pod: Object,
        scenario: Scenario,
        address: str,
        folder: Path,
        failed: Callable[[Exception], None],
    ) -> None:
        """``failed`` is told of what should not happen."""
        self._api = api
        self._pod = pod
        self._failed = failed
        self._scenario = scenario
        self._address = address
        self._folder = folder
        self._container: Container | None = None
        self._lives = 0
        self._ended: Ended | None = None
        self._released = asyncio.Event()
        self._lost = False
        self._stopping = False
        self.task = asyncio.create_task(self._quietly(self._live))

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self._pod["metadata"]["namespace"], self._pod["metadata"]["name"]

    def release(self) -> None:
        """Go on with what the scenario holds up or spoils."""
        self._released.set()

    def end(self, ended: Ended) -> None:
        """Let the running container end."""
        assert self._container is not None, f"{self.key} does not run"
        self._container.end(ended)

    async def evict(self, message: str) -> None:
        """The node needs its memory for something else."""
        await self._cancel()
        self._kill()
        await self._quietly(self._evicted, message)

    async def lose(self) -> None:
        """The node does not answer any more: nobody confirms anything."""
        self._lost = True
        await self._cancel()
        await self._quietly(self._node_lost)

    def delete(self, grace_seconds: float) -> None:
        """Somebody has asked for the pod's end."""
        if not self._stopping and not self._lost:
            self._stopping = True
            self.task.cancel()
            self.task = asyncio.create_task(self._quietly(self._stop, self.task, grace_seconds))

    async def forget(self) -> None:
        """There is no such pod any more."""
        await self._cancel()
        self._kill()

    def output(self, previous: bool) -> str | None:
        """The log of its container's present or previous life; None when it has none."""
        file = self._log(self._lives - 1 if previous else self._lives)
        return file.read_text(errors="replace") if file.exists() else None

    async def _quietly(self, step: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        try:
            await step(*arguments)
        except Refused as error:
            gone = error.status in (404, 409) or "NamespaceTerminating" in str(error)
            if not gone:  # or another one
                self._failed(error)
        except Exception as error:  # noqa: BLE001  # told at the end, in the test's own thread
            self._failed(error)

    async def _cancel(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def _kill(self) -> None:
        if self._container is not None:
            self._container.kill()

    def _log(self, life: int) -> Path:
        return self._folder / f"{self._pod['metadata']['uid']}-{life}.log"

    async def _live(self) -> None:
        await self._schedule()
        await self._pull()
        await self._hold("starting")
        while not self._is_over(await self._one_life()):
            if self._lives > 1:
                await self._back_off()
            self._lives += 1

    async def _hold(self, step: Step) -> None:
        if self._scenario.hold == step:
            await self._released.wait()

    async def _schedule(self) -> None:
        await self._hold("scheduling")
        if self._scenario.unschedulable and not self._released.is_set():
            await self._unschedulable(self._scenario.unschedulable)
            await self._released.wait()
        if not self._pod["spec"].get("nodeName"):
            await self._api.bind(self._pod)
        assigned = f"Successfully assigned {'/'.join(self.key)} to {NODE}"
        await self._api.event(self._pod, "Scheduled", assigned, by="default-scheduler")
        await self._report("Pending", _waiting("ContainerCreating"))

    async def _unschedulable(self, message: str) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        await self._api.status(self._pod, {"phase": "Pending", "conditions": [condition | _since()]})
        await self._api.event(self._pod, "FailedScheduling", message, warning=True, by="default-scheduler")

    async def _pull(self) -> None:
        await self._hold("pulling")
        image = self._pod["spec"]["containers"][0]["image"]
        await self._api.event(self._pod, "Pulling", f'Pulling image "{image}"')
        if self._scenario.image_error and not self._released.is_set():
            why = f'Failed to pull image "{image}": {self._scenario.image_error}'
            await self._report("Pending", _waiting("ErrImagePull", self._scenario.image_error))
            await self._api.event(self._pod, "Failed", why, warning=True)
            await self._api.event(self._pod, "Failed", "Error: ErrImagePull", warning=True)
            await self._report("Pending", _waiting("ImagePullBackOff", f'Back-off pulling image "{image}"'))
            await self._api.event(self._pod, "BackOff", f'Back-off pulling image "{image}"')
            await self._api.event(self._pod, "Failed", "Error: ImagePullBackOff", warning=True)
            await self._released.wait()
        await self._api.event(self._pod, "Pulled", f'Successfully pulled image "{image}"')

    async def _one_life(self) -> Ended:
        """One run of the container, to its end."""
        spec = self._pod["spec"]["containers"][0]
        self._container = Container(spec, self._scenario, self._address, self._log(self._lives))
        await self._api.event(self._pod, "Created", f"Created container {spec['name']}")
        try:
            await self._container.start()
        except OSError as error:
            ended = Ended(127, "ContainerCannotRun", str(error))
            await self._api.event(self._pod, "Failed", f"Error: {error}", warning=True)
        else:
            await self._api.event(self._pod, "Started", f"Started container {spec['name']}")
            if self._scenario.exit_code is None:  # a kubelet looks once a second, and would not see that it ran
                running = {"running": {"startedAt": self._container.started}}
                await self._report("Running", running, ready=self._scenario.ready)
            ended = await self._container.wait()
        self._ended = ended
        over = "Failed" if ended.exit_code else "Succeeded"
        await self._report(over if self._is_over(ended) else "Running", ended.state())
        return ended

    def _is_over(self, ended: Ended) -> bool:
        policy = self._pod["spec"].get("restartPolicy", "Always")
        return policy == "Never" or (policy == "OnFailure" and ended.exit_code == 0)

    async def _back_off(self) -> None:
        message = f"back-off {BACK_OFF_SECONDS:.0f}s restarting failed container of pod {'/'.join(self.key)}"
        assert self._ended is not None
        await self._report("Running", _waiting("CrashLoopBackOff", message), last=self._ended.state())
        await self._api.event(self._pod, "BackOff", "Back-off restarting failed container", warning=True)
        await asyncio.sleep(BACK_OFF_SECONDS)

    async def _stop(self, life: asyncio.Task[None], grace_seconds: float) -> None:
        await asyncio.wait({life})
        if self._container is not None:
            name = self._pod["spec"]["containers"][0]["name"]
            await self._api.event(self._pod, "Killing", f"Stopping container {name}")
            ended = await self._container.stop(grace_seconds)
            await self._report("Failed" if ended.exit_code else "Succeeded", ended.state())
        await self._api.remove(self._pod)

    async def _evicted(self, message: str) -> None:
        await self._api.event(self._pod, "Evicted", message, warning=True)
        status = {"phase": "Failed", "reason": "Evicted", "message": message}
        await self._api.status(self._pod, status | {"containerStatuses": None, "conditions": None})

    async def _node_lost(self) -> None:
        message = f"Node {NODE} which was running pod {self.key[1]} is unresponsive"
        conditions = [{"type": "Ready", "status": "False", "reason": "NodeNotReady"} | _since()]
        await self._api.event(self._pod, "NodeNotReady", "Node is not ready", warning=True, by="node-controller")
        await self._api.status(self._pod, {"reason": "NodeLost", "message": message, "conditions": conditions})

    async def _report(self, phase: str, state: Object, *, ready: bool = False, last: Object | None = None) -> None:
        containers = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": ready,
                "started": ready,
                "restartCount": self._lives,
                "state": state,
                "lastState": last or {},
            }
            for container in self._pod["spec"]["containers"]
        ]
        conditions = {"Initialized": True, "Ready": ready, "ContainersReady": ready, "PodScheduled": True}
        status = {
            "phase": phase,
            "hostIP": "127.0.0.1",
            "podIP": self._address,
            "podIPs": [{"ip": self._address}],
            "containerStatuses": containers,
            "conditions": [{"type": name, "status": str(met)} | _since() for name, met in conditions.items()],
        }
        await self._api.status(self._pod, status)


def _waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def _since() -> Object:
    return {"lastTransitionTime": now()}
