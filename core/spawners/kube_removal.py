"""Taking one pod away: that very one, and never another that has got its name."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from kubernetes_asyncio.client import V1Preconditions

from core.model import JsonDict
from core.spawners import kube_pod
from core.spawners.kube_client import OperationClient
from core.spawners.kube_failures import KubeError, is_absent
from core.spawners.kube_watch import DELETED, LISTED, Collection, follow

NAMESPACE = "/api/v1/namespaces/{namespace}"
PODS = NAMESPACE + "/pods"
ALL_PODS = "/api/v1/pods"
POD = PODS + "/{name}"

_CONFLICT = 409


async def find(client: OperationClient, namespace: str, name: str) -> JsonDict | None:
    """The pod that has that name now."""
    try:
        return await client.get(POD, {"namespace": namespace, "name": name})
    except KubeError as error:
        if is_absent(error):
            return None
        raise


async def ask(client: OperationClient, namespace: str, name: str, uid: str, options: Any) -> bool:
    """Ask for the end of the pod with that uid; False when it has gone already."""
    options.preconditions = V1Preconditions(uid=uid)
    try:
        await client.delete(POD, {"namespace": namespace, "name": name}, options)
    except KubeError as error:
        if is_absent(error) or error.status == _CONFLICT:  # another pod has that name by now
            return False
        raise
    return True


async def remove(client: OperationClient, namespace: str, name: str, uid: str, options: Any) -> None:
    """Delete the pod with that uid, with KubeSpawner's ``V1DeleteOptions``, and wait until it is gone."""
    if not await ask(client, namespace, name, uid, options):
        return
    async with aclosing(follow(client, Collection("pods", namespace, f"metadata.name={name}"))) as changes:
        async for kind, content in changes:
            if _is_gone(uid, kind, content):
                return


def _is_gone(uid: str, kind: str, content: JsonDict) -> bool:
    if kind == LISTED:
        return uid not in {kube_pod.uid(pod) for pod in content["items"]}
    return (kube_pod.uid(content) == uid) is (kind == DELETED)
