"""KubeSpawner for callers that keep nothing: start, poll and stop of one pod by whoever is asked."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from kubernetes_asyncio.client import V1DeleteOptions

from core.errors import StartFailed, StopFailed
from core.hooks import resolve
from core.model import JsonDict
from core.spawners import kube_logs, kube_names, kube_pod, kube_removal, kube_templates
from core.spawners.kube_base import UID
from core.spawners.kube_failures import KubeError, is_absent, is_passing
from core.spawners.kube_own import OwnPods
from core.spawners.kube_readiness import Readiness, outcome

STOP_SECONDS = 110.0
"""Below the time that a Spawner is given to stop, so that what is in the way can be told."""

_CONFLICT = 409
_TRY_AGAIN_SECONDS = 0.2
_FAILED_LOG_LINES = 20


class StatelessKubeSpawner(OwnPods):
    """``KubeSpawner`` and its subclasses; the pod's uid and the start's mark are its identity."""

    needs_mark = True

    image_patience = 20.0
    """Seconds, in which a kubelet tries a pull twice. An image that is still missing then fails the start."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._begun = asyncio.Event()
        self._has_options = self._has_asked = self._is_dealt_with = False
        self._predecessor = ""
        super().__init__(*arguments, **options)

    # Start

    async def run_pre_spawn_hook(self) -> None:
        """The hook, and then the profile: it may choose the namespace, which must be stored before the start."""
        await resolve(super().run_pre_spawn_hook)
        await self.load_user_options()

    async def load_user_options(self) -> None:
        """Apply the profile, once."""
        if not self._has_options:
            await super().load_user_options()
            self._has_options = True

    async def _start(self) -> str:
        """KubeSpawner's own start, within bounds of time, while the pod is followed."""
        began, request_timeout = asyncio.get_running_loop().time(), self.k8s_api_request_timeout
        # Sooner than whoever has called, so that what the pod waits for can be told.
        deadline = began + self.start_timeout - min(1.0, self.start_timeout / 10)
        self._client.deadline = deadline  # after the client has taken its own bound, all requests may be repeated
        self.k8s_api_request_timeout = math.ceil(self.start_timeout)
        self._is_starting = True
        bound = asyncio.timeout_at(deadline)
        try:
            async with bound:
                return await super()._start()
        except TimeoutError as error:
            raise StartFailed(self._too_slow() if bound.expired() else str(error)) from None
        finally:
            self._is_starting = False
            self.k8s_api_request_timeout = request_timeout
            self.cert_paths = {}  # they are in a secret now, or of no use
            self._begun.set()
            if self._follower is not None:
                await self._follower.close()

    def _too_slow(self) -> str:
        pod = None if self._follower is None else self._own(self._follower.pod)
        why = kube_pod.waits_for(pod)
        return f"The server did not start within {self.start_timeout:g} seconds" + (f": {why}" if why else "")

    async def _start_watching_pods(self, replace: bool = False) -> None:
        await super()._start_watching_pods(replace)
        if self._is_starting and UID not in self.notes:
            self._predecessor = kube_pod.uid(self._followed().pod)

    async def progress(self) -> AsyncIterator[JsonDict]:
        """The pod's events as they come, without those of earlier pods."""
        await self._begun.wait()
        async for event in super().progress():
            yield event

    async def _make_create_pod_request(self, pod: Any, request_timeout: float) -> bool:
        """Create the pod, in the place of an earlier one if there is one."""
        self._sign(pod)
        self._begun.set()
        self._has_asked = True
        created: JsonDict | None = None
        while created is None:
            try:
                created = await self._create(pod)
            except KubeError as error:
                if error.status != _CONFLICT:
                    created = await self._made_before(error)
                else:
                    created = await self._make_room()
        self._made(created)
        return True

    async def _made_before(self, error: KubeError) -> JsonDict:
        """The pod that an earlier attempt has made, whose answer was lost. Raises ``error`` when there is none."""
        if is_passing(error.status):
            raise error
        if not error.is_repeated:
            self._has_asked = False  # what is refused is not made
            raise error
        with suppress(KubeError):  # then nobody knows, and the stop looks again
            pod = await kube_removal.find(self._client, self.namespace, self.pod_name)
            if pod is not None and kube_pod.mark(pod) == self.mark:
                return pod
        raise error

    def _sign(self, pod: Any) -> None:
        """After ``modify_pod_hook``, which may replace all labels."""
        metadata = pod.metadata
        metadata.labels = {**(metadata.labels or {}), **kube_names.labels(self.outpost_id, self.service_id, self.mark)}
        signature = {kube_names.SERVICE_ANNOTATION: self._service_annotation}
        metadata.annotations = {**(metadata.annotations or {}), **signature}

    async def _create(self, pod: Any) -> JsonDict:
        """Create the pod; a start that is cancelled meanwhile still learns what it has made."""
        client = self._client
        creating = asyncio.ensure_future(client.create(kube_removal.PODS, {"namespace": self.namespace}, pod))
        try:
            return await asyncio.shield(creating)
        except asyncio.CancelledError:
            client.deadline = None  # it may finish, but not begin again
            with suppress(Exception):
                self._made(await creating)
            raise

    def _made(self, pod: JsonDict) -> None:
        self.notes[UID] = kube_pod.uid(pod)
        self._pod = pod
        if self._follower is not None and self._own(self._follower.pod) is None:
            self._follower.put(pod)

    async def _make_room(self) -> JsonDict | None:
        """The name is taken: by our own pod, whose creation was answered to nobody, or by an earlier server's."""
        pod = await kube_removal.find(self._client, self.namespace, self.pod_name)
        if pod is None:
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
            return None
        if kube_pod.mark(pod) == self.mark:
            return pod
        self._refuse_to_replace(pod)
        self.log.info("replacing the pod %s of an earlier server", self._key)
        await self._remove(kube_pod.uid(pod), V1DeleteOptions(grace_period_seconds=0))
        return None

    def _refuse_to_replace(self, pod: JsonDict) -> None:
        """Raises ``StartFailed`` when the pod is somebody else's, or younger than this start."""
        owner = kube_names.owner(pod)
        is_left_over = owner is None and kube_pod.is_over(pod)
        if not is_left_over and owner != kube_names.owner_of(self._service_annotation):
            self.log.warning("the pod %s is in the way: %s", self._key, kube_names.shown(pod))
            whose = _whose(owner, self.jupyterhub_name)
            advice = kube_templates.advice(self.jupyterhub_name, self.pod_name_template == self._template_of_hub)
            raise StartFailed(f"The pod {self._key} is {whose}: {advice}")
        if kube_pod.uid(pod) != self._predecessor:
            raise StartFailed(f"Another start has made the pod {self._key} meanwhile")

    def get_service_manifest(self, owner_reference: Any, port: int) -> Any:
        """Of this pod alone: KubeSpawner's own selects by user and server name, which two hubs may share."""
        manifest = super().get_service_manifest(owner_reference, port)
        if manifest.spec.selector:  # else its endpoints are somebody else's affair
            manifest.spec.selector = {**manifest.spec.selector, kube_names.MARK_LABEL: self.mark}
        return manifest

    async def _make_create_resource_request(self, kind: str, manifest: Any) -> bool:
        """Create a secret or service; what is there already is taken."""
        path = kube_removal.NAMESPACE + f"/{kind}s"
        try:
            await self._client.create(path, {"namespace": self.namespace}, manifest)
        except KubeError as error:
            if error.status != _CONFLICT:
                raise
        return True

    async def _ensure_not_exists(self, kind: str, name: str) -> bool:
        """Delete an earlier server's secret or service; True when there is none any more."""
        path = kube_removal.NAMESPACE + f"/{kind}s/{{name}}"
        where = {"namespace": self.namespace, "name": name}
        try:
            await self._client.delete(path, where, V1DeleteOptions())
            await self._client.get(path, where)
        except KubeError as error:
            if is_absent(error):
                return True
            raise
        return False

    def is_pod_running(self, pod: JsonDict | None) -> Any:
        """As KubeSpawner sees it; during a start the answer can be awaited, and raises when it will never be True."""
        if not self._is_starting:
            return super().is_pod_running(pod)
        return Readiness(pod is not None and self._runs(pod), self._until_running)

    def _runs(self, pod: JsonDict) -> bool:
        status = pod["status"]
        return "podIP" in status and "containerStatuses" in status and bool(super().is_pod_running(pod))

    async def _until_running(self) -> bool:
        why = await outcome(self._followed(), self._own, self._look, self._runs, self.image_patience)
        if why:
            raise StartFailed("\n".join([why, *await self._last_words()]))
        self._pod = self._followed().pod
        return True

    async def _last_words(self) -> list[str]:
        """What the container has written before it failed."""
        pod = self._own(self._followed().pod)
        if pod is None:
            return []
        try:
            return (await kube_logs.last_lines(self._client, pod))[-_FAILED_LOG_LINES:]
        except Exception as error:  # noqa: BLE001  # logs are a courtesy
            self.log.warning("no logs of the pod %s: %s", self._key, error)
            return []

    # Poll

    async def poll(self) -> int | None:
        """One look at the pod. An ended one stays until the hub has it stopped, so that its logs can be had."""
        configured, self.delete_stopped_pods = self.delete_stopped_pods, False
        try:
            status: int | None = await super().poll()
            return status
        finally:
            self.delete_stopped_pods = configured

    async def _look(self) -> JsonDict | None:
        pod = await super()._look()
        if pod is not None and not self._is_starting and self.server is not None and self._runs(pod):
            # Else KubeSpawner would see a new address, and write it to a hub's database that is not here.
            url = urlsplit(self._get_pod_url(pod))
            self.server.ip, self.server.port = url.hostname, url.port or (443 if url.scheme == "https" else 80)
        return pod

    async def poll_starting(self) -> int | None:
        """Poll while another object is still starting the server: only a container that has ended has ended."""
        pod = await self._look()
        return None if pod is None else kube_pod.exit_code(pod)

    async def get_jupyter_server_logs(self) -> list[str]:
        """The last lines of the server's container, and how it ended; or what a subclass makes of it."""
        inherited = getattr(super(), "get_jupyter_server_logs", None)
        if inherited is not None:
            lines: list[str] = await resolve(inherited)
            return lines
        pod = self._pod or await self._look()
        if pod is None:
            return []
        lines = await kube_logs.last_lines(self._client, pod)
        ended = kube_pod.failure(pod)
        return [*lines, ended] if ended else lines

    # Stop

    async def stop(self, now: bool = False) -> None:
        """Delete the pod, with what belongs to it, and wait until it is gone. Raises ``StopFailed``."""
        await self._start_cancelled()
        if not self._is_starting:
            self._client.deadline = asyncio.get_running_loop().time() + STOP_SECONDS
            self._client.patience = self.k8s_api_request_retry_timeout
        self._is_stopping = True
        bound = asyncio.timeout(STOP_SECONDS)
        try:
            async with bound:
                await super().stop(now)
        except TimeoutError as error:
            why = f"The pod {self._key} was deleted, but its node does not confirm that it has ended"
            raise StopFailed(why if bound.expired() else str(error)) from None
        finally:
            self._is_stopping = False

    async def _start_cancelled(self) -> None:
        """A start that was told to end may still be learning what it has made."""
        start = self._start_future
        if isinstance(start, asyncio.Task) and not start.done() and start.cancelling():
            await asyncio.wait({start})

    async def _make_delete_pod_request(
        self, pod_name: str, delete_options: Any, grace_seconds: float, request_timeout: float
    ) -> bool:
        """Delete this very pod; one that has ended by itself is kept where ``delete_stopped_pods`` says so."""
        uid = self.notes.get(UID)
        has_made_nothing = self._start_future is not None and not self._has_asked
        if not has_made_nothing and (not uid or not self.delete_stopped_pods):
            pod = await self._look()
            uid = kube_pod.uid(pod)
            is_kept = pod is not None and not (self.delete_stopped_pods or self._is_starting) and kube_pod.is_over(pod)
            if is_kept:
                uid = ""
        if uid:
            await self._remove(uid, delete_options)
        self._pod, self._is_dealt_with = None, True
        return True

    async def _remove(self, uid: str, options: Any) -> None:
        await kube_removal.remove(self._client, self.namespace, self.pod_name, uid, options)
        if self._follower is not None and kube_pod.uid(self._follower.pod) == uid:
            self._follower.put(None)

    async def is_gone(self) -> bool:
        """After ``stop()``: has it seen the pod go, or is there none?"""
        return self._is_dealt_with or await self._look() is None


def _whose(owner: tuple[str, str, str] | None, hub: str) -> str:
    """Whose pod is in the way, as a hub may hear it."""
    if owner is None:
        return "none of Outpost's, and has not ended"
    return f"the server {owner[2]!r} of {owner[1]}" if owner[0] == hub else "a server of another hub"
