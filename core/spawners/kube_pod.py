"""What a pod's status says: has the server ended, will it ever come up, what is it waiting for."""

from __future__ import annotations

from collections.abc import Iterator

from core.model import JsonDict
from core.spawners.kube_names import MARK_LABEL

SERVER_CONTAINER = "notebook"
"""KubeSpawner's name of the container that the server runs in."""

_HOPELESS = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
_CRASHING = "CrashLoopBackOff"


def uid(pod: JsonDict | None) -> str:
    """What tells a pod from all others that had its name; "" of no pod."""
    return str((pod or {}).get("metadata", {}).get("uid", ""))


def mark(pod: JsonDict) -> str:
    """The mark of the start that made the pod; "" when no Outpost did."""
    return str((pod["metadata"].get("labels") or {}).get(MARK_LABEL, ""))


def server_status(pod: JsonDict) -> JsonDict:
    """The status of the server's container; empty when there is none yet."""
    return next((status for status in _containers(pod) if status["name"] == SERVER_CONTAINER), {})


def exit_code(pod: JsonDict) -> int | None:
    """The exit code of a server that has ended, 1 when nobody knows it; None while it runs or is still to run."""
    ended = _ended(server_status(pod))
    if ended is not None:
        return int(ended["exitCode"])
    phase = pod["status"].get("phase")
    return {"Succeeded": 0, "Failed": 1}.get(str(phase))


def is_over(pod: JsonDict) -> bool:
    """Has the pod ended, so that nothing of it will run again?"""
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def failure(pod: JsonDict) -> str:
    """Why the pod will not come up, in one sentence; "" as long as it may."""
    status = pod["status"]
    ended = _ended(server_status(pod))
    if ended is not None:
        return f"The server's container ended {_how(ended)}"
    if pod["metadata"].get("deletionTimestamp"):
        return _deleted(pod)
    for container in _containers(pod):
        waiting = container.get("state", {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in _HOPELESS:
            return f"The image {container.get('image')} cannot be used: {_words(reason, waiting.get('message'))}"
        if reason == _CRASHING:
            last = container.get("lastState", {}).get("terminated")
            how = _how(last) if last else _words(reason, waiting.get("message"))
            return f'The container "{container["name"]}" ends again and again, last {how}'
    if status.get("phase") == "Failed":
        return f"The pod failed: {_words(status.get('reason', ''), status.get('message'))}"
    if status.get("phase") == "Succeeded":
        return "The pod's containers ended without an error before the server could be used"
    return ""


def missing_image(pod: JsonDict) -> str:
    """What the container runtime says of an image that it could not pull yet; "" when there is no such trouble."""
    for container in _containers(pod):
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in _NO_IMAGE:
            return _words(waiting["reason"], waiting.get("message"))
    return ""


def waits_for(pod: JsonDict | None) -> str:
    """What keeps a pod from running, as far as it says so."""
    if pod is None:
        return ""
    if image := missing_image(pod):
        return image
    for container in _containers(pod):
        if waiting := container.get("state", {}).get("waiting"):
            why = _words(waiting.get("reason", ""), waiting.get("message"))
            return f'the container "{container["name"]}" waits: {why}'
    for condition in pod["status"].get("conditions") or ():
        if condition["status"] == "False" and condition.get("message"):
            return _words(condition.get("reason", ""), condition["message"])
    return f"the pod is {pod['status'].get('phase', 'unknown')}"


def _containers(pod: JsonDict) -> Iterator[JsonDict]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        yield from pod["status"].get(kind) or ()


def _ended(status: JsonDict) -> JsonDict | None:
    """How a container ended that does not run now; one that waits for its next life has ended too."""
    state = status.get("state") or {}
    if state.get("terminated"):
        return dict(state["terminated"])
    if (state.get("waiting") or {}).get("reason") == _CRASHING:
        last = (status.get("lastState") or {}).get("terminated")
        return dict(last) if last else None
    return None


def _how(ended: JsonDict) -> str:
    """For example ``with exit code 137 (OOMKilled)``."""
    reason = f" ({ended['reason']})" if ended.get("reason") else ""
    message = _one_line(ended.get("message"))
    return f"with exit code {ended['exitCode']}{reason}" + (f": {message}" if message else "")


def _deleted(pod: JsonDict) -> str:
    said = [
        condition.get("message") or condition.get("reason")
        for condition in pod["status"].get("conditions") or ()
        if condition["type"] == "DisruptionTarget"
    ]
    why = f": {_one_line(said[0])}" if said else ""
    return f"The pod was deleted while the server was starting{why}"


def _words(reason: str, message: str | None) -> str:
    return ": ".join(part for part in (reason, _one_line(message)) if part) or "no reason is given"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())[:1000]
