"""What operators configure of KubeSpawner goes on working."""

from __future__ import annotations

from typing import Any

import pytest
from kubespawner import KubeSpawner

from core.errors import StartFailed
from tests.kube.kubelet import Kubelet
from tests.kube.scenarios import Scenario
from tests.kube.spawning import Spawning, a_service

PEMS = {"keyfile": "KEY", "certfile": "CERTIFICATE"}


async def test_a_profile_decides_by_user_options(spawning: Spawning) -> None:
    spawning.config.KubeSpawner.profile_list = [
        {"display_name": "Small", "slug": "small", "default": True},
        {"display_name": "Large", "slug": "large", "kubespawner_override": {"image": "large:2", "cpu_guarantee": 4}},
    ]
    await spawning.start(a_service(user_options={"profile": "large"}))
    container = (await spawning.pod())["spec"]["containers"][0]
    assert container["image"] == "large:2"
    assert container["resources"]["requests"] == {"cpu": "4"}


async def test_a_profile_that_there_is_none_of_fails_the_start(spawning: Spawning) -> None:
    spawning.config.KubeSpawner.profile_list = [{"display_name": "Small", "slug": "small"}]
    with pytest.raises(Exception, match="huge"):
        await spawning.start(a_service(user_options={"profile": "huge"}))
    assert spawning.namespace.names("pods") == []


async def test_templates_name_what_is_made(spawning: Spawning) -> None:
    spawner = spawning.config.KubeSpawner
    spawner.pod_name_template = "lab-{username}--{servername}"
    spawner.pvc_name_template = "claim-{username}"
    spawner.storage_pvc_ensure, spawner.storage_capacity = True, "1Gi"
    spawner.volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "claim-{username}"}}]
    spawner.volume_mounts = [{"name": "home", "mountPath": "/home/{username}"}]
    running = await spawning.start(a_service("two", "bob"))

    pod = await spawning.pod()
    assert pod["metadata"]["name"] == running.state["pod_name"] == "lab-bob--two"
    assert spawning.namespace.names("persistentvolumeclaims") == ["claim-bob"]
    assert {"name": "home", "persistentVolumeClaim": {"claimName": "claim-bob"}} in pod["spec"]["volumes"]
    assert "/home/bob" in [mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]]

    await spawning.stop(running)
    assert spawning.namespace.names("pods") == []
    assert spawning.namespace.names("persistentvolumeclaims") == ["claim-bob"], "homes outlive servers"


async def test_hooks_change_the_pod_and_see_what_was_made(spawning: Spawning) -> None:
    seen = []

    async def modify(spawner: Any, pod: Any) -> Any:
        pod.spec.priority = None
        pod.metadata.annotations["greets"] = f"{spawner.user.name} at {spawner.jupyterhub_name}"
        return pod

    async def created(spawner: Any, pod: Any) -> None:
        seen.append((spawner.pod_name, pod["metadata"]["uid"]))

    spawning.config.KubeSpawner.modify_pod_hook = modify
    spawning.config.KubeSpawner.after_pod_created_hook = created
    running = await spawning.start(a_service("lab", "alice", "hub1"))
    metadata = (await spawning.pod())["metadata"]
    assert metadata["annotations"]["greets"] == "alice at hub1"
    assert seen == [(running.state["pod_name"], metadata["uid"])]


async def test_a_hook_that_fails_leaves_nothing(spawning: Spawning) -> None:
    def fail(_spawner: Any, _pod: Any) -> None:
        raise RuntimeError("the licence server is away")

    spawning.config.KubeSpawner.after_pod_created_hook = fail
    with pytest.raises(Exception, match="the licence server is away"):
        await spawning.start(a_service())
    await spawning.until(lambda: not spawning.namespace.names("pods"))


async def test_a_service_leads_to_the_pod_and_goes_with_it(spawning: Spawning) -> None:
    spawning.config.KubeSpawner.services_enabled = True
    running = await spawning.start(a_service())
    pod = await spawning.pod()
    (service,) = spawning.namespace.all("services")
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert [owner["uid"] for owner in service["metadata"]["ownerReferences"]] == [pod["metadata"]["uid"]]

    await spawning.stop(running)
    await spawning.until(lambda: not spawning.namespace.names("services"), "the service is gone too")


async def test_certificates_are_in_a_secret_that_goes_with_the_pod(spawning: Spawning) -> None:
    service = a_service(certs={**PEMS, "cafile": "CA"}, trust_bundles={"hub-ca": "CA"}, misc={"internal_ssl": True})
    running = await spawning.start(service)
    pod = await spawning.pod()
    secrets = [each for each in spawning.namespace.all("secrets") if each["type"] == "Opaque"]
    (secret,) = secrets
    assert {"ssl.key", "ssl.crt"} <= secret["data"].keys()
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [pod["metadata"]["uid"]]
    assert running.start_response.startswith("https://")
    assert "KEY" not in str(running.state)

    await spawning.stop(running)
    name = secret["metadata"]["name"]
    await spawning.until(lambda: name not in spawning.namespace.names("secrets"), "the secret is gone too")


async def test_a_user_may_have_a_namespace_of_the_own(spawning: Spawning) -> None:
    api, namespace = spawning.namespace.api, f"{spawning.namespace.name}-carol"
    spawning.config.KubeSpawner.enable_user_namespaces = True
    spawning.config.KubeSpawner.user_namespace_template = f"{spawning.namespace.name}-{{username}}"
    running = await spawning.start(a_service("lab", "carol"))
    pods = api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    assert [pod["metadata"]["name"] for pod in pods] == [running.state["pod_name"]]
    assert running.state["namespace"] == namespace
    assert await spawning.poll(running) is None

    await spawning.stop(running)
    assert api.get(f"/api/v1/namespaces/{namespace}/pods")["items"] == []
    api.delete(f"/api/v1/namespaces/{namespace}")


async def test_what_a_hub_sends_by_default_goes_before_the_configuration(spawning: Spawning) -> None:
    """OutpostSpawner's own ``misc``."""
    spawning.config.KubeSpawner.port = 9999
    spawning.config.KubeSpawner.extra_labels = {"site": "here"}
    misc = {
        "dns_name_template": "{name}.{namespace}.svc.cluster.local",
        "pod_name_template": "jupyter-{username}-7",
        "internal_ssl": False,
        "port": 8080,
        "ip": "0.0.0.0",
        "services_enabled": True,
        "extra_labels": {"hub": "theirs"},
    }
    running = await spawning.start(a_service("lab", "dave", misc=misc))
    pod = await spawning.pod()
    assert pod["metadata"]["name"] == "jupyter-dave-7"
    assert {"site": "here", "hub": "theirs"}.items() <= pod["metadata"]["labels"].items()
    assert spawning.namespace.names("services") == ["jupyter-dave-7"]
    assert running.start_response.endswith(":8080")


class OwnSpawner(KubeSpawner):  # type: ignore[misc]  # the package has no types
    """As sites write them: around what KubeSpawner does."""

    async def start(self) -> Any:
        """With a label, and a path in the answer."""
        self.extra_labels = {"made-by": "us"}
        return await super().start()

    async def get_pod_manifest(self) -> Any:
        """With a node of its own."""
        pod = await super().get_pod_manifest()
        pod.spec.node_selector = {"kind": "lab"}
        return pod

    async def poll(self) -> int | None:
        """What is over is 42."""
        return None if await super().poll() is None else 42


async def test_a_subclass_may_wrap_everything(spawning: Spawning) -> None:
    spawning.spawner_class = OwnSpawner
    spawning.config.OwnSpawner.image = "own:1"
    running = await spawning.start(a_service())
    pod = await spawning.pod()
    assert pod["metadata"]["labels"]["made-by"] == "us"
    assert pod["spec"]["nodeSelector"] == {"kind": "lab"}
    assert pod["spec"]["containers"][0]["image"] == "own:1"
    assert await spawning.poll(running) is None
    await spawning.stop(running)
    assert await spawning.poll(running) == 42


async def test_a_failed_start_says_the_containers_last_words_and_no_more_than_a_few(
    spawning: Spawning, kubelet: Kubelet
) -> None:
    output = "".join(f"line {number}\n" for number in range(1000))
    kubelet.script(spawning.namespace.name, Scenario(exit_code=3, output=output))
    spawning.config.KubeSpawner.extra_pod_config = {"restartPolicy": "Never"}
    with pytest.raises(StartFailed) as failed:
        await spawning.start(a_service())
    first, *lines = str(failed.value).splitlines()
    assert "exit code 3" in first
    assert lines[-1] == "line 999"
    assert len(lines) <= 20


async def test_logs_are_bounded(spawning: Spawning, kubelet: Kubelet) -> None:
    output = "".join(f"line {number} {'x' * 300}\n" for number in range(2000))
    kubelet.script(spawning.namespace.name, Scenario(output=output))
    running = await spawning.start(a_service())
    lines = await spawning.logs(running)
    assert lines[-1].startswith("line 1999 ")
    assert len(lines) <= 100
    assert sum(map(len, lines)) <= 64 * 1024
