"""The last lines that a server's container has written."""

from __future__ import annotations

from core.model import JsonDict
from core.spawners import kube_pod
from core.spawners.kube_client import OperationClient, hang_up
from core.spawners.kube_failures import KubeError

MOST_LINES = 100
MOST_BYTES = 64 * 1024
"""What is kept, of the end."""

_READ_BYTES = 1024 * 1024
"""What is read at most: the API's own limit of bytes would cut off the end, which tells most."""


async def last_lines(client: OperationClient, pod: JsonDict) -> list[str]:
    """The end of the container's log; of its life before too, when it has been started again."""
    status = kube_pod.server_status(pod)
    state = status.get("state") or {}
    lines: list[str] = []
    if status.get("restartCount") and not state.get("terminated"):
        lines = await _tail(client, pod, "true")
    if not lines or state.get("running"):
        lines += await _tail(client, pod, "false")
    if not lines and state.get("terminated"):  # it was started again since we looked
        lines = await _tail(client, pod, "true")
    return lines[-MOST_LINES:]


async def _tail(client: OperationClient, pod: JsonDict, previous: str) -> list[str]:
    metadata = pod["metadata"]
    try:
        answer = await client.open(
            "/api/v1/namespaces/{namespace}/pods/{name}/log",
            {"namespace": metadata["namespace"], "name": metadata["name"]},
            container=kube_pod.SERVER_CONTAINER,
            tailLines=MOST_LINES,
            limitBytes=_READ_BYTES,
            previous=previous,
        )
    except KubeError as error:
        if error.status in (400, 404):  # no container yet, or none before
            return []
        raise
    tail = b""
    try:
        async for chunk in answer.content.iter_any():
            tail = (tail + chunk)[-MOST_BYTES:]
    finally:
        hang_up(answer)
    return tail.decode(errors="replace").splitlines()
