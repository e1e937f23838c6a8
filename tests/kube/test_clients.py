"""Errors of the API are told apart, credentials are read anew, and nothing of a client is left."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import ConfigError
from core.spawners import kube_access
from core.spawners.kube_failures import KubeError
from tests.kube.control_plane import ControlPlane
from tests.kube.kubelet import Kubelet
from tests.kube.proxy import Proxy
from tests.kube.scenarios import Scenario
from tests.kube.spawning import Spawning, a_service
from tests.support.outpost import ROOT
from tests.support.postgresql import free_port

PODS = "/pods"


async def test_a_poll_that_is_refused_for_a_moment_is_not_repeated(spawning: Spawning, proxy: Proxy) -> None:
    running = await spawning.start(a_service())
    for status in (429, 500, 503):
        proxy.faults.clear()
        proxy.asked.clear()
        proxy.fault("GET", PODS, status, headers={"Retry-After": "1"})
        with pytest.raises(KubeError):
            await spawning.poll(running)
        assert len(proxy.asked) == 1
    assert await spawning.poll(running) is None


@pytest.mark.parametrize("status", [429, 500, 503, 504, 0])
async def test_a_start_and_a_stop_outlast_an_api_in_trouble(spawning: Spawning, proxy: Proxy, status: int) -> None:
    spawning.config.KubeSpawner.services_enabled = True
    faults = [
        proxy.fault("GET", "/pods?", status),
        proxy.fault("POST", "/pods", status),
        proxy.fault("DELETE", "/services/", status),
        proxy.fault("POST", "/services", status),
        proxy.fault("DELETE", "/pods/", status, times=2),
    ]
    running = await spawning.start(a_service())
    assert await spawning.poll(running) is None
    await spawning.stop(running)
    assert [fault.happened for fault in faults] == [1, 1, 1, 1, 2]
    assert spawning.namespace.names("pods") == []


async def test_a_connection_that_breaks_is_no_evidence(spawning: Spawning, proxy: Proxy) -> None:
    running = await spawning.start(a_service())
    proxy.fault("GET", PODS, times=9)
    with pytest.raises(KubeError, match="cannot be reached"):
        await spawning.poll(running)


async def test_a_proxy_of_the_environment_is_used(
    spawning: Spawning, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await spawning.start(a_service())
    monkeypatch.setenv("http_proxy", str(spawning.config.KubeSpawner.k8s_api_host))
    spawning.config.KubeSpawner.k8s_api_host = "http://kubernetes.example"
    proxy.asked.clear()
    assert await spawning.poll(running) is None
    assert len(proxy.asked) == 1


async def test_the_time_that_the_api_asks_for_is_kept(spawning: Spawning, proxy: Proxy) -> None:
    proxy.fault("POST", PODS, 429, headers={"Retry-After": "2"})
    loop = asyncio.get_running_loop()
    times: list[float] = []
    ask = proxy._ask

    def noted(request: Any, body: bytes) -> Any:
        if request.method == "POST":
            times.append(loop.time())
        return ask(request, body)

    proxy._ask = noted  # type: ignore[method-assign]
    began = loop.time()
    await spawning.start(a_service())
    assert times[0] - began >= 2


async def test_an_api_that_cannot_be_reached_is_named(spawning: Spawning) -> None:
    running = await spawning.start(a_service())
    url = f"https://127.0.0.1:{free_port()}"
    spawning.config.KubeSpawner.k8s_api_host = url
    with pytest.raises(KubeError, match=f"The Kubernetes API at {url} cannot be reached"):
        await spawning.poll(running)


async def test_an_api_that_does_not_answer_is_given_its_time(spawning: Spawning) -> None:
    running = await spawning.start(a_service())
    has_hung_up = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client closes its end
        writer.close()
        has_hung_up.set()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    spawning.config.KubeSpawner.k8s_api_host = url
    spawning.config.KubeSpawner.k8s_api_request_timeout = 1
    with pytest.raises(KubeError, match=f"The Kubernetes API at {url} did not answer within 1 seconds"):
        await spawning.poll(running)
    await has_hung_up.wait()
    silent.close()


async def test_credentials_that_are_refused_are_read_anew_once(
    spawning: Spawning, kubernetes: ControlPlane, kubeconfig: Path, proxy: Proxy
) -> None:
    running = await spawning.start(a_service())
    proxy.asked.clear()
    fault = proxy.fault("GET", PODS, 401)
    assert await spawning.poll(running) is None
    assert (len(proxy.asked), fault.happened) == (2, 1)

    proxy.asked.clear()
    kubernetes.kubeconfig(kubeconfig, token="expired")
    with pytest.raises(KubeError, match="does not accept Outpost's credentials"):
        await spawning.poll(running)
    assert len(proxy.asked) == 2
    kubernetes.kubeconfig(kubeconfig)
    assert await spawning.poll(running) is None


async def test_a_token_that_ends_during_a_start_is_replaced_by_the_next(
    spawning: Spawning, kubernetes: ControlPlane, kubeconfig: Path, kubelet: Kubelet, proxy: Proxy
) -> None:
    kubelet.script(spawning.namespace.name, Scenario(hold="pulling"))
    starting = asyncio.create_task(spawning.start(a_service()))
    await spawning.until_said("Scheduled")
    refused = proxy.fault("GET", PODS, 401, times=1)
    proxy.cut()
    await spawning.until(lambda: refused.happened)
    kubelet.release(spawning.namespace.name, (await spawning.pod())["metadata"]["name"])
    assert (await starting).start_response.endswith(":8888")


@pytest.mark.parametrize(
    ("verbs", "missing"),
    [
        (["list", "create", "get", "delete"], '"watch" of "pods"'),
        (["watch"], '"list" of "pods"'),
        (["list", "watch"], '"create" of "pods"'),
    ],
)
async def test_a_missing_permission_is_named(
    spawning: Spawning, kubernetes: ControlPlane, kubeconfig: Path, verbs: list[str], missing: str
) -> None:
    grant(spawning, kubernetes, kubeconfig, verbs)
    with pytest.raises(KubeError) as refused:
        await asyncio.wait_for(spawning.start(a_service()), 20)
    assert refused.value.args == (
        f"Outpost's role in the Kubernetes cluster lacks a permission: {missing} in the namespace "
        f'"{spawning.namespace.name}"',
    )


async def test_a_missing_permission_for_secrets_is_named(
    spawning: Spawning, kubernetes: ControlPlane, kubeconfig: Path
) -> None:
    grant(spawning, kubernetes, kubeconfig, ["list", "watch", "create", "get", "delete"])
    spawning.config.KubeSpawner.services_enabled = True
    with pytest.raises(KubeError, match='lacks a permission: "delete" of "services" in the namespace'):
        await asyncio.wait_for(spawning.start(a_service()), 20)
    assert spawning.namespace.names("pods") == []


async def test_events_are_a_courtesy(spawning: Spawning, kubernetes: ControlPlane, kubeconfig: Path) -> None:
    grant(spawning, kubernetes, kubeconfig, ["list", "watch", "create", "get", "delete"])
    running = await spawning.start(a_service())
    assert spawning.events == []
    await spawning.stop(running)


def grant(spawning: Spawning, kubernetes: ControlPlane, kubeconfig: Path, verbs: list[str]) -> None:
    """From now on Outpost is a service account that may do only this with pods."""
    namespace = spawning.namespace
    rules = "/apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace.name
    namespace.api.create(
        f"{rules}/roles", metadata={"name": "some"}, rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}]
    )
    namespace.api.create(
        f"{rules}/rolebindings",
        metadata={"name": "some"},
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"},
        subjects=[{"kind": "ServiceAccount", "name": "outpost", "namespace": namespace.name}],
    )
    kubernetes.kubeconfig(kubeconfig, token=namespace.token("outpost"), namespace=namespace.name)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extra_pod_config": {"restartPolicy": "Sometimes"}}, 'Unsupported value: "Sometimes"'),
        ({"image": ""}, "spec.containers[0].image: Required value"),
        ({"extra_pod_config": {"tolerations": "none"}}, "tolerations"),
    ],
)
async def test_a_manifest_that_is_refused_is_told_in_one_sentence(
    spawning: Spawning, changes: dict[str, Any], said: str
) -> None:
    spawning.config.KubeSpawner.update(changes)
    with pytest.raises(KubeError) as refused:
        await asyncio.wait_for(spawning.start(a_service()), 20)
    (told,) = refused.value.args
    assert told.startswith("The Kubernetes API refuses what Outpost asks for: ")
    assert said in told
    assert "\n" not in told


async def test_what_the_cluster_does_not_allow_is_told_as_such(spawning: Spawning) -> None:
    limit = {"type": "Container", "max": {"memory": "1Mi"}}
    spawning.namespace.api.create(
        spawning.namespace.path("limitranges"), metadata={"name": "small"}, spec={"limits": [limit]}
    )
    spawning.config.KubeSpawner.mem_limit = "1G"
    with pytest.raises(KubeError, match=r"The Kubernetes cluster does not allow it: .* maximum memory usage"):
        await asyncio.wait_for(spawning.start(a_service()), 20)


async def test_a_kubeconfig_with_everything_inside_works_and_leaves_no_file(
    spawning: Spawning, kubernetes: ControlPlane, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As EKS needs it."""
    content = yaml.safe_load(kubeconfig.read_text())
    authority = base64.b64encode(kubernetes.certificate.read_bytes()).decode()
    content["clusters"][0]["cluster"] = {"server": kubernetes.url, "certificate-authority-data": authority}
    kubeconfig.write_text(json.dumps(content))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    running = await spawning.start(a_service())
    assert await spawning.poll(running) is None
    assert list(temporary.iterdir()) == []


async def test_a_program_may_make_the_token(
    spawning: Spawning, kubernetes: ControlPlane, kubeconfig: Path, tmp_path: Path
) -> None:
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential",
        "status": {"token": kubernetes.tokens["outpost"]},
    }
    (tmp_path / "answer.json").write_text(json.dumps(answer))
    content = yaml.safe_load(kubeconfig.read_text())
    content["users"][0]["user"] = {
        "exec": {"apiVersion": answer["apiVersion"], "command": "cat", "args": [str(tmp_path / "answer.json")]}
    }
    kubeconfig.write_text(yaml.safe_dump(content))
    running = await spawning.start(a_service())
    assert await spawning.poll(running) is None


async def test_in_a_cluster_its_own_files_are_used_and_read_anew(
    spawning: Spawning, kubernetes: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(kubernetes.port))
    there = "kubernetes_asyncio.config.incluster_config"
    monkeypatch.setattr(f"{there}.SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(f"{there}.SERVICE_CERT_FILENAME", str(kubernetes.certificate))
    with pytest.raises(KubeError, match="credentials"):
        await spawning.start(a_service())
    token.write_text(kubernetes.tokens["outpost"])
    running = await spawning.start(a_service())
    assert await spawning.poll(running) is None


async def test_no_configuration_at_all_is_said(
    spawning: Spawning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="Outpost's access to Kubernetes cannot be used: there is no kubeconfig"):
        await spawning.start(a_service())


async def test_kubespawners_own_settings_of_the_api_are_kept(
    spawning: Spawning, kubernetes: ControlPlane, kubeconfig: Path
) -> None:
    content = yaml.safe_load(kubeconfig.read_text())
    content["clusters"][0]["cluster"] = {"server": "https://192.0.2.1"}
    kubeconfig.write_text(yaml.safe_dump(content))
    config = spawning.config.KubeSpawner
    config.k8s_api_host = kubernetes.url
    config.k8s_api_ssl_ca_cert = str(kubernetes.certificate)
    running = await spawning.start(a_service())

    del config.k8s_api_ssl_ca_cert
    with pytest.raises(KubeError, match="cannot be reached"):
        await spawning.poll(running)
    config.k8s_api_verify_ssl = False
    assert await spawning.poll(running) is None


async def test_tls_is_prepared_once_for_the_same_certificates(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    overrides = kube_access.Overrides()
    first, second = [await kube_access.read(overrides) for _ in range(2)]
    assert first.tls is second.tls
    assert first.configuration is not second.configuration
    assert (await kube_access.read(kube_access.Overrides(verify=False))).tls is not first.tls


async def test_nothing_is_left_of_any_operation(spawning: Spawning, kubelet: Kubelet) -> None:
    """In a process of its own: this one has threads and connections to the API server, too."""
    kubelet.script(spawning.namespace.name, Scenario(image_error="no"), "jupyter-alice--fails")
    kubelet.script(spawning.namespace.name, Scenario(hold="pulling"), "jupyter-alice--cancelled")
    command = [sys.executable, "-m", "tests.kube.leftovers", spawning.namespace.name]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    output, _ = await process.communicate()
    assert json.loads(output) == {
        "start": {},
        "poll": {},
        "logs": {},
        "stop": {},
        "failed start": {},
        "cancelled start": {},
    }
