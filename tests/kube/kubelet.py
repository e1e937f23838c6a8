"""A stand-in for scheduler and kubelet: one node that takes all pods, in a thread of the test's process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx

from tests.kube.container import Ended
from tests.kube.control_plane import ControlPlane
from tests.kube.kubelet_api import NODE, NodeApi, Object, Refused
from tests.kube.kubelet_logs import LogServer
from tests.kube.pod_life import PodLife
from tests.kube.scenarios import Scenario


class Kubelet:
    """The node. A pod's scenario is chosen by namespace and name when the pod is first seen."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        """``folder`` is where the containers log, and where real ones run."""
        self._plane = plane
        self._folder = folder
        self._scenarios: dict[tuple[str, str], Scenario] = {}
        self._pods: dict[str, PodLife] = {}
        self._count = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._main: asyncio.Task[None] | None = None
        self._failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="kubelet")

    def __enter__(self) -> Kubelet:
        self._thread.start()
        assert self._ready.wait(30), "the node is not known to the API server"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._main is not None
        self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()
        assert not self._failed, f"the kubelet's stand-in failed: {self._failed}"

    def script(self, namespace: str, scenario: Scenario, name: str = "") -> None:
        """From now on, what new pods of that name or ``generateName`` do; without one all others there."""
        self._scenarios[namespace, name] = scenario

    def release(self, namespace: str, name: str) -> None:
        """Let a pod go on that its scenario holds up, leaves unscheduled, or without its image."""
        self._do(namespace, name, lambda pod: pod.release())

    def end(self, namespace: str, name: str, exit_code: int, reason: str = "", message: str = "") -> None:
        """End a running container by itself: ``OOMKilled`` has the exit code 137."""
        self._do(namespace, name, lambda pod: pod.end(Ended(exit_code, reason, message)))

    def evict(self, namespace: str, name: str, message: str = "The node was low on resource: memory. ") -> None:
        """Evict a pod."""
        self._do(namespace, name, lambda pod: pod.evict(message))

    def lose(self, namespace: str, name: str) -> None:
        """From now on the pod's node does not answer: a deletion is never confirmed."""
        self._do(namespace, name, lambda pod: pod.lose())

    def _do(self, namespace: str, name: str, action: Any) -> None:
        async def act() -> None:
            found = [pod for pod in self._pods.values() if pod.key == (namespace, name)]
            assert found, f"the node has no pod {namespace}/{name}"
            result = action(found[-1])
            if isinstance(result, Coroutine):
                await result

        asyncio.run_coroutine_threadsafe(act(), self._loop).result(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._main = self._loop.create_task(self._serve())
        try:
            self._loop.run_until_complete(self._main)
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001  # told at the end, in the test's own thread
            self._failed.append(error)
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        plane = self._plane
        api = NodeApi(plane.url, str(plane.certificate), plane.tokens["kubelet"])
        logs = LogServer(self._output)
        try:
            logs.start()
            await api.register(logs.port)
            await self._watch(api)
        finally:
            for pod in self._pods.values():
                await pod.forget()
            logs.close()
            await api.close()

    def _output(self, namespace: str, name: str, previous: bool) -> str | None:
        found = [pod for pod in self._pods.values() if pod.key == (namespace, name)]
        return found[-1].output(previous) if found else None

    async def _watch(self, api: NodeApi) -> None:
        while True:
            listed = await api.call("GET", "/api/v1/pods")
            there = {pod["metadata"]["uid"] for pod in listed["items"]}
            for uid in self._pods.keys() - there:
                await self._forget(uid)
            for pod in listed["items"]:
                self._see(api, pod)
            self._ready.set()
            try:
                async for event in api.watch("/api/v1/pods", listed["metadata"]["resourceVersion"]):
                    if event["type"] == "DELETED":
                        await self._forget(event["object"]["metadata"]["uid"])
                    elif event["type"] in ("ADDED", "MODIFIED"):
                        self._see(api, event["object"])
            except (httpx.TransportError, Refused):
                await asyncio.sleep(0.1)

    def _see(self, api: NodeApi, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self._pods:
            if pod["spec"].get("nodeName", NODE) != NODE or pod["status"]["phase"] in ("Succeeded", "Failed"):
                return
            self._count += 1
            address = f"127.1.{self._count // 250}.{self._count % 250 + 1}"
            self._pods[uid] = PodLife(api, pod, self._scenario(pod), address, self._folder, self._failed.append)
        if pod["metadata"].get("deletionTimestamp"):
            self._pods[uid].delete(pod["metadata"].get("deletionGracePeriodSeconds", 0))

    def _scenario(self, pod: Object) -> Scenario:
        metadata = pod["metadata"]
        names = (metadata["name"], metadata.get("generateName", ""), "")
        found = (self._scenarios.get((metadata["namespace"], name)) for name in names)
        return next(filter(None, found), Scenario())

    async def _forget(self, uid: str) -> None:
        pod = self._pods.pop(uid, None)
        if pod is not None:
            await pod.forget()
