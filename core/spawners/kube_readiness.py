"""Waiting until a pod runs, or until it is known that it will not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from core.model import JsonDict
from core.spawners import kube_pod
from core.spawners.kube_watch import PodFollower

_LOOK_AGAIN_SECONDS = 60.0


class Readiness:
    """Is the pod running? As a truth value: now; awaited: as soon as it is.

    KubeSpawner asks in a loop that sleeps for up to five seconds, and awaits the answers it gets.
    """

    def __init__(self, is_running: bool, wait: Callable[[], Awaitable[bool]]) -> None:
        self._is_running = is_running
        self._wait = wait

    def __bool__(self) -> bool:
        return self._is_running

    def __await__(self) -> Generator[Any, None, bool]:
        return self._wait().__await__()


async def outcome(
    follower: PodFollower,
    own: Callable[[JsonDict | None], JsonDict | None],
    look: Callable[[], Awaitable[JsonDict | None]],
    runs: Callable[[JsonDict], bool],
    image_patience: float,
) -> str:
    """ "" as soon as the pod runs; else why it will not, in one sentence.

    ``own`` is None for another pod of that name, ``look`` asks the API for our pod.
    """
    now = asyncio.get_running_loop().time
    without_image: float | None = None
    while True:
        pod = own(follower.pod)
        if pod is None:
            pod = await look()
            if pod is None:
                return "The pod was deleted while the server was starting"
            follower.put(pod)
        if why := kube_pod.failure(pod):
            return why
        if runs(pod):
            return ""
        if missing := kube_pod.missing_image(pod):
            without_image = now() if without_image is None else without_image
            left = without_image + image_patience - now()
            if left <= 0:
                return f"The image cannot be pulled: {_pull_error(follower.events) or missing}"
        else:
            without_image, left = None, _LOOK_AGAIN_SECONDS
        await follower.next_change(left)


def _pull_error(events: list[JsonDict]) -> str:
    """What the container runtime said of its last try; the status has it only for a moment."""
    said = [event.get("message") or "" for event in events if event.get("reason") == "Failed"]
    tries = [" ".join(message.split()) for message in said if "pull image" in message]
    return tries[-1] if tries else ""
