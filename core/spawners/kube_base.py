"""What all operations of a KubeSpawner stand on: a client of its own, and the pod as it is now, without reflectors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from core.model import JsonDict, Service
from core.spawners import kube_names, kube_pod, kube_removal
from core.spawners.adapter import StatelessSpawner
from core.spawners.kube_access import Overrides
from core.spawners.kube_client import OperationClient, core_api, no_shared_client
from core.spawners.kube_templates import Template
from core.spawners.kube_watch import PodFollower

if TYPE_CHECKING:

    class KubeSpawnerBase(StatelessSpawner):
        """The part of ``kubespawner.KubeSpawner`` that the mixin stands on; at run time it is the class itself."""

        api_token: str
        delete_stopped_pods: bool
        events_enabled: bool
        k8s_api_host: str
        k8s_api_request_retry_timeout: int
        k8s_api_request_timeout: int
        k8s_api_ssl_ca_cert: str
        k8s_api_verify_ssl: bool | None
        name: str
        namespace: str
        pod_name: str
        pod_name_template: str
        server: Any
        slug_scheme: str
        user: Any
        _start_future: asyncio.Future[Any] | None

        def __init__(self, *arguments: Any, **options: Any) -> None: ...
        def get_service_manifest(self, owner_reference: Any, port: int) -> Any: ...
        def is_pod_running(self, pod: JsonDict | None) -> Any: ...
        def progress(self) -> AsyncIterator[JsonDict]: ...
        def run_pre_spawn_hook(self) -> Any: ...
        def _expand_user_properties(self, template: str, **slug_scheme: Any) -> str: ...
        def _get_pod_url(self, pod: JsonDict) -> str: ...
        async def load_user_options(self) -> None: ...
        async def _start(self) -> str: ...

else:
    KubeSpawnerBase = StatelessSpawner

UID = "uid"
"""In Outpost's notes: the uid of the pod."""


class ReflectorlessKubeSpawner(KubeSpawnerBase):
    """In front of ``KubeSpawner``, whose own code then reads what this object has just seen of its one pod."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._api: Any = None
        self._pod: JsonDict | None = None
        self._follower: PodFollower | None = None
        self._service_annotation = ""
        self._template_of_hub: object = None
        self._is_starting = self._is_stopping = False
        with no_shared_client():
            super().__init__(*arguments, **options)

    def attach(self, service: Service) -> None:
        """Say whose server this is."""
        super().attach(service)
        self._service_annotation = kube_names.service_annotation(service)
        self._template_of_hub = service.body.misc.get("pod_name_template")

    def _expand_user_properties(self, template: str, **slug_scheme: Any) -> str:
        """As in KubeSpawner, with ``{hub}`` and ``{start_id}`` too."""
        scheme = slug_scheme.get("slug_scheme") or self.slug_scheme
        more = Template(template, self.jupyterhub_name, self.start_id, scheme)
        return super()._expand_user_properties(more, **slug_scheme)

    # The client of this object

    @property
    def api(self) -> Any:
        """The Kubernetes API for this operation; hooks may use it too."""
        if self._api is None:
            overrides = Overrides(self.k8s_api_host, self.k8s_api_ssl_ca_cert, self.k8s_api_verify_ssl)
            self._api = core_api(overrides, self.k8s_api_request_timeout)
        return self._api

    @api.setter
    def api(self, api: Any) -> None:
        self._api = api

    @property
    def _client(self) -> OperationClient:
        client: OperationClient = self.api.api_client
        return client

    async def close(self) -> None:
        """Leave no task and no connection behind."""
        await super().close()
        if self._start_future is not None and not self._start_future.done():
            self._start_future.cancel()
            await asyncio.wait({self._start_future})
        if self._follower is not None:
            await self._follower.close()
        if self._api is not None:
            await self._client.close()

    # What KubeSpawner reads instead of its reflectors

    @property
    def pod_reflector(self) -> Any:
        """The pod of this server, as it was last seen."""
        followed = self._follower.pod if self._is_starting and self._follower is not None else None
        pod = self._own(followed) or self._own(self._pod)
        return SimpleNamespace(pods={} if pod is None else {self._key: pod})

    @property
    def event_reflector(self) -> Any:
        """What was said about the pod since its start began to follow it."""
        if not self.events_enabled or self._follower is None:
            return None
        return SimpleNamespace(events=self._follower.events)

    @property
    def _key(self) -> str:
        return f"{self.namespace}/{self.pod_name}"

    async def _start_watching_pods(self, replace: bool = False) -> None:
        """A start follows its pod; a poll looks once; a stop looks when it has to."""
        if self._is_starting:
            await self._followed().follow_pod()
        elif not self._is_stopping:
            await self._look()

    async def _start_watching_events(self, replace: bool = False) -> None:
        if self._is_starting and self.events_enabled:
            await self._followed().follow_events()

    def _followed(self) -> PodFollower:
        if self._follower is None:
            self._follower = PodFollower(self._client, self.namespace, self.pod_name, self.log)
        return self._follower

    def _own(self, pod: JsonDict | None) -> JsonDict | None:
        """The pod, unless it is known to be another start's. A state of an earlier Outpost knows only the name."""
        if pod is None:
            return None
        uid, mark = self.notes.get(UID), self.notes.get("mark")
        is_own = kube_pod.uid(pod) == uid if uid else kube_pod.mark(pod) == mark if mark else True
        return pod if is_own else None

    async def _look(self) -> JsonDict | None:
        """Ask for the pod, once."""
        self._pod = self._own(await kube_removal.find(self._client, self.namespace, self.pod_name))
        return self._pod
