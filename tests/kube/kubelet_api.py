"""What the kubelet's stand-in says to the API server."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from typing import Any

import httpx

Object = dict[str, Any]

NODE = "node-1"


def now() -> str:
    """The time, as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class NodeApi:
    """Requests for one node; while the API server is away they are repeated."""

    def __init__(self, url: str, certificate: str, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}", "User-Agent": "kubelet"},
            verify=ssl.create_default_context(cafile=certificate),
            timeout=httpx.Timeout(5, read=90, pool=None),
            limits=httpx.Limits(max_connections=20),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(self, method: str, path: str, content: Any = None, kind: str = "application/json") -> Any:
        """One request, repeated until there is an answer. Raises ``Refused``."""
        body = None if content is None else json.dumps(content).encode()
        while True:
            try:
                answer = await _to_its_end(
                    self._http.request(method, path, content=body, headers={"Content-Type": kind})
                )
            except httpx.TransportError:
                pass
            else:
                if answer.is_success:
                    return answer.json()
                if answer.status_code not in (429, 500, 502, 503, 504):
                    raise Refused(answer.status_code, answer.text)
            await asyncio.sleep(0.2)

    async def watch(self, path: str, version: str) -> AsyncIterator[Object]:
        """Events of a watch, until it ends. Raises ``httpx.TransportError``, and ``Refused`` when it is too old."""
        params = {"watch": "1", "timeoutSeconds": "60", "resourceVersion": version}
        async with self._http.stream("GET", path, params=params) as answer:
            if not answer.is_success:
                raise Refused(answer.status_code, (await answer.aread()).decode())
            async for line in answer.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise Refused(event["object"].get("code", 0), str(event["object"]))
                yield event

    async def register(self, port: int) -> None:
        """Make the node known, with the address of its logs."""
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        }
        try:
            await self.call("POST", "/api/v1/nodes", {"metadata": {"name": NODE}, "status": status})
        except Refused as error:
            if error.status != 409:
                raise
        await self.call("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": status}, "application/merge-patch+json")

    async def bind(self, pod: Object) -> None:
        """Give a pod to the node."""
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
        await self.call("POST", f"{_path(pod)}/binding", {"metadata": _named(pod), "target": target})

    async def status(self, pod: Object, status: Object) -> None:
        """Report a pod's status: of that very pod."""
        content = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        await self.call("PATCH", f"{_path(pod)}/status", content, "application/merge-patch+json")

    async def event(
        self, pod: Object, reason: str, message: str, *, warning: bool = False, by: str = "kubelet"
    ) -> None:
        """Say what happens to a pod."""
        namespace, time = pod["metadata"]["namespace"], now()
        about = {"kind": "Pod", "apiVersion": "v1", "namespace": namespace, **_named(pod)}
        content = {
            "metadata": {"generateName": f"{pod['metadata']['name']}."},
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
            "involvedObject": about,
            "source": {"component": by},
        }
        await self.call("POST", f"/api/v1/namespaces/{namespace}/events", content)

    async def remove(self, pod: Object) -> None:
        """The last word on a pod that was deleted: not on its successor."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        await self.call("DELETE", _path(pod), options)


async def _to_its_end(request: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
    """Also when nobody waits for the answer any more: the next request about that pod must come after this one."""
    task = asyncio.create_task(request)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _named(pod: Object) -> Object:
    return {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}


def _path(pod: Object) -> str:
    metadata = pod["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
