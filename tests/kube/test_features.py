"""What operators use of KubeSpawner goes on working."""

from __future__ import annotations

import base64
import logging
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from kubespawner import KubeSpawner
from traitlets import Unicode
from traitlets.config import Config

from core.model import Body
from core.spawners.kube_failures import KubeError
from tests.kube.api import Namespace, Object
from tests.kube.kubelet import Kubelet
from tests.kube.proxy import Proxy
from tests.kube.scenarios import Scenario
from tests.kube.spawning import Spawning, a_service


@pytest.fixture
def config(spawning: Spawning) -> Config:
    """The section that operators write."""
    section: Config = spawning.config.KubeSpawner
    return section


async def made(spawning: Spawning, **more: Any) -> Object:
    """The pod of a server that was started."""
    await spawning.start(a_service(**more))
    return await spawning.pod()


def notebook(pod: Object) -> Object:
    """The server's container."""
    container: Object = next(item for item in pod["spec"]["containers"] if item["name"] == "notebook")
    return container


PROFILES = [
    {"display_name": "Small", "slug": "small", "default": True},
    {
        "display_name": "Large",
        "slug": "large",
        "kubespawner_override": {"image": "lab:2", "mem_guarantee": "1M", "extra_labels": {"size": "large"}},
        "profile_options": {
            "gpu": {
                "display_name": "GPU",
                "choices": {
                    "none": {"display_name": "no", "default": True},
                    "one": {"display_name": "yes", "kubespawner_override": {"environment": {"GPU": "1"}}},
                },
            }
        },
    },
]


async def test_a_profile_is_applied(spawning: Spawning, config: Config) -> None:
    config.profile_list = PROFILES
    pod = await made(spawning, user_options={"profile": "large", "gpu": "one"})
    assert notebook(pod)["image"] == "lab:2"
    assert pod["metadata"]["labels"]["size"] == "large"
    assert {"name": "GPU", "value": "1"} in notebook(pod)["env"]


async def test_a_profile_that_there_is_none_of_fails_the_start(spawning: Spawning, config: Config) -> None:
    config.profile_list = PROFILES
    with pytest.raises(ValueError, match="huge"):
        await spawning.start(a_service(user_options={"profile": "huge"}))
    assert spawning.namespace.names("pods") == []


async def test_a_profile_that_is_a_function_is_asked_once(spawning: Spawning, config: Config) -> None:
    asked: list[str] = []

    async def profiles(spawner: Any) -> list[Any]:
        asked.append(spawner.user.name)
        return PROFILES

    config.profile_list = profiles
    assert notebook(await made(spawning))["image"] == "lab:1"
    assert asked == ["alice"]


@pytest.fixture
def second_namespace(spawning: Spawning) -> Iterator[Namespace]:
    """Another namespace for pods."""
    name = f"{spawning.namespace.name}-b"
    spawning.namespace.api.create("/api/v1/namespaces", metadata={"name": name})
    yield Namespace(spawning.namespace.api, name)
    spawning.namespace.api.delete(f"/api/v1/namespaces/{name}")


async def test_a_profile_may_choose_the_namespace_and_a_start_that_is_cut_off_is_found_there(
    spawning: Spawning, config: Config, second_namespace: Namespace
) -> None:
    elsewhere = second_namespace.name
    config.profile_list = [{"display_name": "There", "kubespawner_override": {"namespace": elsewhere}}]
    running = await spawning.start(a_service())
    assert len(second_namespace.names("pods")) == 1
    assert spawning.stored["namespace"] == elsewhere
    assert await spawning.poll(running) is None
    await spawning.stop(replace(running, state=spawning.stored))
    assert second_namespace.names("pods") == []


async def test_names_and_labels_are_made_of_templates(spawning: Spawning, config: Config) -> None:
    config.pod_name_template = "nb-{username}-{servername}-{userid}"
    config.extra_labels = {"site": "{username}"}
    config.extra_annotations = {"example.org/contact": "{unescaped_username}"}
    config.environment = {"WHO": "{username}"}
    pod = await made(spawning, name="work", user="alice")
    metadata = pod["metadata"]
    assert metadata["name"] == "nb-alice-work-7"
    assert metadata["labels"]["site"] == "alice"
    assert metadata["annotations"]["example.org/contact"] == "alice"
    assert {"name": "WHO", "value": "alice"} in notebook(pod)["env"]


async def test_hooks_see_and_change_the_pod(spawning: Spawning, config: Config) -> None:
    """They may use the Spawner's own client, as before."""
    seen: list[Any] = []

    async def modify(spawner: Any, pod: Any) -> Any:
        listed = await spawner.api.list_namespaced_pod(spawner.namespace)
        seen.append(len(listed.items))
        pod.spec.hostname = "changed"
        return pod

    async def created(spawner: Any, pod: dict[str, Any]) -> None:
        seen.append((pod["metadata"]["uid"], bool(spawner.is_pod_running(pod))))

    config.modify_pod_hook = modify
    config.after_pod_created_hook = created
    pod = await made(spawning)
    assert pod["spec"]["hostname"] == "changed"
    assert seen == [0, (pod["metadata"]["uid"], False)]


async def test_a_hook_after_the_creation_that_fails_fails_the_start(spawning: Spawning, config: Config) -> None:
    async def created(spawner: Any, pod: Any) -> None:
        raise RuntimeError("the licence server is away")

    config.after_pod_created_hook = created
    with pytest.raises(RuntimeError, match="licence server"):
        await spawning.start(a_service())
    assert spawning.namespace.names("pods") == []


async def test_volume_claims_are_made_once_and_kept(spawning: Spawning, config: Config) -> None:
    config.storage_pvc_ensure = True
    config.storage_capacity = "1Gi"
    config.pvc_name_template = "home-{username}"
    config.volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}}]
    config.volume_mounts = [{"name": "home", "mountPath": "/home/jovyan"}]
    first = await spawning.start(a_service())
    assert first.state["pvc_name"] == "home-alice"
    (claim,) = spawning.namespace.all("persistentvolumeclaims")
    await spawning.stop(first)
    assert spawning.namespace.names("persistentvolumeclaims") == ["home-alice"]

    pod = await made(spawning)
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == "home-alice"
    (kept,) = spawning.namespace.all("persistentvolumeclaims")
    assert kept["metadata"]["uid"] == claim["metadata"]["uid"]


async def test_a_service_comes_and_goes_with_its_pod(spawning: Spawning, config: Config) -> None:
    config.services_enabled = True
    running = await spawning.start(a_service())
    name = running.state["pod_name"]
    assert running.start_response == f"http://{name}.{spawning.namespace.name}.svc.cluster.local:8888"
    assert await spawning.poll(running) is None
    (service,) = spawning.namespace.all("services")
    assert service["spec"]["selector"].items() <= (await spawning.pod())["metadata"]["labels"].items()
    (owner,) = service["metadata"]["ownerReferences"]
    assert (service["metadata"]["name"], owner["uid"]) == (name, running.state["_outpost"]["uid"])

    await spawning.stop(running)
    await spawning.until(lambda: not spawning.namespace.all("services"), "the service is gone")


def certificates() -> dict[str, str]:
    """Nobody reads them here."""
    return {name: f"{name}-{uuid.uuid4().hex}\n" for name in ("keyfile", "certfile", "cafile")}


@pytest.mark.parametrize("internal_ssl", [False, True])
async def test_a_service_is_of_its_own_pod_where_another_hub_has_the_same_user_and_server(
    spawning: Spawning, config: Config, internal_ssl: bool
) -> None:
    config.services_enabled = not internal_ssl
    issued = certificates()
    more: dict[str, Any] = {"certs": issued, "trust_bundles": {"hub-ca": issued["cafile"]}} if internal_ssl else {}
    for hub in ("hub1", "hub2"):
        misc = {"pod_name_template": f"{hub}-{{user_server}}"}
        await spawning.start(a_service(hub=hub, misc=misc, **more))
    services = spawning.namespace.all("services")
    assert len(services) == 2
    for service in services:
        selector = ",".join(f"{label}={value}" for label, value in service["spec"]["selector"].items())
        selected = spawning.namespace.api.get(spawning.namespace.path("pods"), labelSelector=selector)["items"]
        assert [pod["metadata"]["name"] for pod in selected] == [service["metadata"]["name"]]


async def test_the_service_of_an_earlier_server_is_replaced(spawning: Spawning, config: Config) -> None:
    config.services_enabled = True
    await spawning.start(a_service())
    running = await spawning.start(a_service())
    (service,) = spawning.namespace.all("services")
    assert service["metadata"]["ownerReferences"][0]["uid"] == running.state["_outpost"]["uid"]


async def test_certificates_are_a_secret_of_the_pod_and_nowhere_else(
    spawning: Spawning, config: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    issued = certificates()
    with caplog.at_level(logging.DEBUG):
        running = await spawning.start(
            a_service(certs=issued, trust_bundles={"hub-ca": issued["cafile"]}, misc={"internal_ssl": True})
        )
    assert running.start_response.startswith("https://")
    secrets = [item for item in spawning.namespace.all("secrets") if item["type"] == "Opaque"]
    (secret,) = secrets
    assert set(secret["data"]) == {"ssl.key", "ssl.crt", "notebooks-ca_trust.crt"}
    assert base64.b64decode(secret["data"]["ssl.key"]).decode() == issued["keyfile"]
    assert secret["metadata"]["ownerReferences"][0]["uid"] == running.state["_outpost"]["uid"]
    assert issued["keyfile"].strip() not in str(running.state)
    container = notebook(await spawning.pod())
    assert {"name": "JUPYTERHUB_SSL_KEYFILE", "value": "/etc/jupyterhub/ssl/ssl.key"} in container["env"]
    assert [path for path in temporary.rglob("*") if path.is_file()] == []
    assert secret["data"]["ssl.key"] not in caplog.text
    assert issued["keyfile"].strip() not in caplog.text
    assert running.body.api_token not in caplog.text

    await spawning.stop(running)
    await spawning.until(lambda: not [item for item in spawning.namespace.all("secrets") if item["type"] == "Opaque"])


async def test_a_secret_that_is_refused_shows_up_in_no_log(
    spawning: Spawning, config: Config, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.fault("POST", "/secrets", 422, content={"kind": "Status", "message": "no secrets today"}, times=99)
    issued = certificates()
    with caplog.at_level(logging.DEBUG), pytest.raises(KubeError, match="no secrets today"):
        await spawning.start(a_service(certs=issued, trust_bundles={"hub-ca": issued["cafile"]}))
    assert "ssl.key" not in caplog.text
    assert spawning.namespace.names("pods") == []


async def test_users_may_have_namespaces_of_their_own(spawning: Spawning, config: Config) -> None:
    config.enable_user_namespaces = True
    config.user_namespace_template = f"{spawning.namespace.name}-{{username}}"
    config.user_namespace_labels = {"of": "{username}"}
    running = await spawning.start(a_service())
    name = f"{spawning.namespace.name}-alice"
    users = Namespace(spawning.namespace.api, name)
    try:
        assert running.state["namespace"] == name
        assert users.names("pods") == [running.state["pod_name"]]
        assert spawning.namespace.api.get(f"/api/v1/namespaces/{name}")["metadata"]["labels"]["of"] == "alice"
        assert await spawning.poll(running) is None
        await spawning.stop(running)
        assert users.names("pods") == []
        again = await spawning.start(a_service())
        await spawning.stop(again)
    finally:
        spawning.namespace.api.delete(f"/api/v1/namespaces/{name}")


async def test_misc_of_the_hub_goes_before_the_configuration(spawning: Spawning, config: Config) -> None:
    """What OutpostSpawner always sends."""
    config.extra_labels = {"site": "here", "kept": "yes"}
    misc = {
        "dns_name_template": "{name}.{namespace}.svc.cluster.local",
        "pod_name_template": "jupyter-{username}--{servername}-hub",
        "internal_ssl": False,
        "port": 9999,
        "services_enabled": True,
        "extra_labels": {"site": "hub"},
    }
    running = await spawning.start(a_service(misc=misc))
    pod = await spawning.pod()
    assert pod["metadata"]["name"] == "jupyter-alice--lab-hub"
    assert (pod["metadata"]["labels"]["site"], pod["metadata"]["labels"]["kept"]) == ("hub", "yes")
    address = f"http://jupyter-alice--lab-hub.{spawning.namespace.name}.svc.cluster.local:9999"
    assert running.start_response == address
    other = replace(running, body=Body(running.body.env, {}, {}))
    assert await spawning.poll(other) is None
    await spawning.stop(other)


DEFAULT_MISC = {
    "dns_name_template": "{name}.{namespace}.svc.cluster.local",
    "pod_name_template": "jupyter-{username}--{servername}",
    "services_enabled": True,
}
"""What every OutpostSpawner sends."""


@pytest.fixture
def claims(config: Config) -> None:
    """Each server has a home, by KubeSpawner's own template."""
    config.storage_pvc_ensure = True
    config.storage_capacity = "1Gi"


class Pods(KubeSpawner):  # type: ignore[misc]  # KubeSpawner has no types
    """No hub has a say in the names of its pods, because this is no trait."""

    pod_name_template = "jupyter-{hub}--{user_server}"


@pytest.mark.usefixtures("claims")
async def test_two_hubs_share_nothing_where_names_have_the_hub_in_them(spawning: Spawning, config: Config) -> None:
    spawning.spawner_class = Pods
    config.pvc_name_template = "claim-{hub}--{user_server}"
    running = [await spawning.start(a_service(hub=hub, misc=DEFAULT_MISC)) for hub in ("hub1", "hub2")]
    pods = ["jupyter-hub1--alice--lab", "jupyter-hub2--alice--lab"]
    assert sorted(spawning.namespace.names("pods")) == sorted(spawning.namespace.names("services")) == pods
    claims = ["claim-hub1--alice--lab", "claim-hub2--alice--lab"]
    assert sorted(spawning.namespace.names("persistentvolumeclaims")) == claims
    await spawning.stop(running[0])
    assert await spawning.poll(running[1]) is None
    assert spawning.namespace.names("pods") == pods[1:]


@pytest.mark.usefixtures("claims")
async def test_two_hubs_share_nothing_where_namespaces_have_the_hub_in_them(spawning: Spawning, config: Config) -> None:
    config.enable_user_namespaces = True
    config.user_namespace_template = f"{spawning.namespace.name}-{{hub}}--{{username}}"
    hubs = ("hub1", "hub2")
    spaces = [Namespace(spawning.namespace.api, f"{spawning.namespace.name}-{hub}--alice") for hub in hubs]
    try:
        running = [await spawning.start(a_service(hub=hub, misc=DEFAULT_MISC)) for hub in hubs]
        assert [space.names("pods") for space in spaces] == [["jupyter-alice--lab"]] * 2
        assert [space.names("persistentvolumeclaims") for space in spaces] == [["claim-alice--lab"]] * 2
        await spawning.stop(running[0])
        assert [space.names("pods") for space in spaces] == [[], ["jupyter-alice--lab"]]
    finally:
        for space in spaces:
            spawning.namespace.api.delete(f"/api/v1/namespaces/{space.name}")


class SiteSpawner(KubeSpawner):  # type: ignore[misc]  # KubeSpawner has no types
    """As sites write them: with something around what it inherits."""

    motto = Unicode("none").tag(config=True)
    log_of_calls: list[str] = []  # noqa: RUF012  # of all objects

    async def get_pod_manifest(self) -> Any:
        """With an annotation."""
        pod = await super().get_pod_manifest()
        pod.metadata.annotations["motto"] = self.motto
        return pod

    async def start(self) -> Any:
        """Notes what it knows before and after."""
        self.log_of_calls.append("starting")
        address = await super().start()
        self.log_of_calls.append(f"started {self.pod_id != ''}")
        return address

    async def poll(self) -> Any:
        """Another word for ended."""
        status = await super().poll()
        self.log_of_calls.append(f"polled {status}")
        return 42 if status is not None else None

    async def stop(self, now: bool = False) -> None:
        """The pod is gone when the inherited one returns."""
        await super().stop(now)
        found = [pod.metadata.name for pod in (await self.api.list_namespaced_pod(self.namespace)).items]
        self.log_of_calls.append(f"stopped {found}")

    async def get_jupyter_server_logs(self) -> list[str]:
        """Logs of its own."""
        return [f"{self.pod_name} was here"]


async def test_a_subclass_has_its_say_in_everything(spawning: Spawning) -> None:
    SiteSpawner.log_of_calls.clear()
    spawning.spawner_class = SiteSpawner
    spawning.config.SiteSpawner.motto = "per aspera"
    running = await spawning.start(a_service())
    assert (await spawning.pod())["metadata"]["annotations"]["motto"] == "per aspera"
    assert await spawning.poll(running) is None
    assert await spawning.logs(running) == [f"{running.state['pod_name']} was here"]
    await spawning.stop(running)
    assert await spawning.poll(running) == 42
    assert SiteSpawner.log_of_calls == ["starting", "started True", "polled None", "stopped []", "polled 1"]


async def test_a_start_of_a_subclass_fails_early_too(spawning: Spawning, kubelet: Kubelet) -> None:
    spawning.spawner_class = SiteSpawner
    spawning.config.KubeSpawner.start_timeout = 600
    kubelet.script(spawning.namespace.name, Scenario(ready=False, exit_code=1, output="boom\n"))
    with pytest.raises(Exception, match="exit code 1") as failed:
        await spawning.start(a_service())
    assert str(failed.value.args[0]).splitlines()[-1] == "boom"


def test_no_other_spawner_in_the_process_is_changed() -> None:
    from kubespawner import spawner as module

    assert module.shared_client.__module__ == "kubespawner.clients"
    assert hasattr(module.load_config, "cache_info")
    assert KubeSpawner.reflectors == {}
