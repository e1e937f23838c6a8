"""The pods that one Outpost has made, by their labels."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from kubernetes_asyncio.client import V1DeleteOptions

from core.model import JsonDict
from core.spawners import kube_names, kube_pod, kube_removal
from core.spawners.kube_base import ReflectorlessKubeSpawner
from core.spawners.own import OwnServer

_PAGE = 250
_SECONDS = 20.0
"""For so long a request is repeated that may work a moment later."""


class OwnPods(ReflectorlessKubeSpawner):
    """Tells and takes away pods of any service, with or without a row."""

    lists_own = True

    if TYPE_CHECKING:
        delete_grace_period: int
        enable_user_namespaces: bool

    async def own_servers(self, outpost_id: str) -> list[OwnServer]:
        """The pods with that label, but those that are being deleted, and those that ``delete_stopped_pods`` keeps.

        They are looked for in the configured namespace; with ``enable_user_namespaces`` in all.
        """
        self._client.deadline = asyncio.get_running_loop().time() + _SECONDS
        path = kube_removal.ALL_PODS if self.enable_user_namespaces else kube_removal.PODS
        query: dict[str, str | int] = {"labelSelector": f"{kube_names.OUTPOST_LABEL}={outpost_id}", "limit": _PAGE}
        found: list[OwnServer] = []
        while True:
            page = await self._client.get(path, {"namespace": self.namespace}, **query)
            found += _servers(pod for pod in page["items"] if self.delete_stopped_pods or not kube_pod.is_over(pod))
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return found

    async def remove_own(self, server: OwnServer) -> None:
        """Ask for that pod's end; the cluster then takes away what it owns, its service and secret."""
        self._client.deadline = asyncio.get_running_loop().time() + _SECONDS
        namespace, name = server.place.split("/")
        options = V1DeleteOptions(grace_period_seconds=self.delete_grace_period)
        await kube_removal.ask(self._client, namespace, name, server.uid, options)


def _servers(pods: Iterable[JsonDict]) -> Iterator[OwnServer]:
    for pod in pods:
        metadata, row = pod["metadata"], kube_names.row(pod)
        if row is not None and not metadata.get("deletionTimestamp"):
            yield OwnServer(
                service_id=row,
                identity=kube_names.shown(pod),
                place=f"{metadata['namespace']}/{metadata['name']}",
                uid=kube_pod.uid(pod),
                created=datetime.fromisoformat(metadata["creationTimestamp"]),
            )
