"""The stand-in for a node does what a kubelet does, as far as a Spawner can see it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kube.api import Namespace
from tests.kube.control_plane import ControlPlane
from tests.kube.kubelet import Kubelet
from tests.kube.kubelet_api import NodeApi, Refused
from tests.kube.scenarios import Scenario
from tests.support.waiting import eventually


def make_pod(namespace: Namespace, name: str = "alice", command: str = "", **spec: Any) -> dict[str, Any]:
    """Ask for a pod with one container; the pod as it was stored."""
    container = {"name": "notebook", "image": "lab:1", "command": ["sh", "-c", command]}
    spec = {"restartPolicy": "OnFailure", "containers": [container], **spec}
    return namespace.api.create(namespace.path("pods"), metadata={"name": name}, spec=spec)


def phase(namespace: Namespace, name: str = "alice") -> str:
    """Where a pod is."""
    pod = namespace.pod(name)
    return pod["status"]["phase"] if pod else ""


def state(namespace: Namespace, kind: str, name: str = "alice") -> dict[str, Any] | None:
    """A container's state, when it is of that kind."""
    pod = namespace.pod(name) or {}
    for status in pod.get("status", {}).get("containerStatuses", ()):
        found: dict[str, Any] | None = status["state"].get(kind)
        return found
    return None


def wait_for(namespace: Namespace, wanted: str, name: str = "alice") -> None:
    """Wait for a pod's phase; "" is gone."""
    eventually(lambda: phase(namespace, name) == wanted, what=f"{name} is {wanted or 'gone'}")


def wait_for_reason(namespace: Namespace, reason: str, name: str = "alice") -> dict[str, Any]:
    """Wait until a container waits for that reason; the state."""

    def waits() -> dict[str, Any] | None:
        found = state(namespace, "waiting", name)
        return found if found and found["reason"] == reason else None

    return eventually(waits, what=f"{name} waits for {reason}") or {}


def test_a_pod_runs_until_it_is_deleted(namespace: Namespace, kubelet: Kubelet) -> None:
    make_pod(namespace)
    wait_for(namespace, "Running")
    reasons = [event.partition(":")[0] for event in namespace.events("alice")]
    assert sorted(reasons) == ["Created", "Pulled", "Pulling", "Scheduled", "Started"]

    namespace.delete_pod("alice")
    wait_for(namespace, "")
    assert "Killing: Stopping container notebook" in namespace.events("alice")


def test_a_successor_of_the_same_name_is_left_alone(namespace: Namespace, kubelet: Kubelet) -> None:
    kubelet.script(namespace.name, Scenario(stop_seconds=0.5))
    make_pod(namespace)
    wait_for(namespace, "Running")

    namespace.delete_pod("alice")
    namespace.delete_pod("alice", 0)
    successor = make_pod(namespace)["metadata"]["uid"]

    wait_for(namespace, "Running")
    make_pod(namespace, "bob")
    wait_for(namespace, "Running", "bob")
    namespace.delete_pod("bob")
    wait_for(namespace, "", "bob")
    found = namespace.pod("alice")
    assert found is not None
    assert found["metadata"]["uid"] == successor


async def test_the_last_word_on_a_pod_is_not_taken_for_its_successor(
    kubernetes: ControlPlane, namespace: Namespace
) -> None:
    first = make_pod(namespace)
    namespace.delete_pod("alice", 0)
    second = make_pod(namespace)
    api = NodeApi(kubernetes.url, str(kubernetes.certificate), kubernetes.tokens["kubelet"])
    try:
        with pytest.raises(Refused, match="409"):
            await api.remove(first)
    finally:
        await api.close()
    assert (namespace.pod("alice") or {})["metadata"]["uid"] == second["metadata"]["uid"]


def test_the_command_really_runs_and_its_output_is_the_pods_log(namespace: Namespace, kubelet: Kubelet) -> None:
    kubelet.script(namespace.name, Scenario(run=True))
    make_pod(namespace, command="echo one; echo two; echo three; exec sleep 600")
    wait_for(namespace, "Running")

    log = eventually(lambda: namespace.api.get(namespace.path("pods", "alice/log"), tailLines="2"), what="a log")
    assert log == "two\nthree\n"

    make_pod(namespace, "bob", command="exit 0")
    wait_for(namespace, "Succeeded", "bob")


def test_a_container_that_fails_starts_again_and_again(namespace: Namespace, kubelet: Kubelet) -> None:
    kubelet.script(namespace.name, Scenario(exit_code=3, message="no disk", output="ERROR: no disk\n"))
    make_pod(namespace)

    wait_for_reason(namespace, "CrashLoopBackOff")
    pod = namespace.pod("alice") or {}
    last = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["message"], last["reason"]) == (3, "no disk", "Error")
    assert namespace.api.get(namespace.path("pods", "alice/log")) == "ERROR: no disk\n"


def test_a_container_that_must_not_start_again_fails_its_pod(namespace: Namespace, kubelet: Kubelet) -> None:
    make_pod(namespace, restartPolicy="Never")
    wait_for(namespace, "Running")

    kubelet.end(namespace.name, "alice", 137, "OOMKilled")

    wait_for(namespace, "Failed")
    assert (state(namespace, "terminated") or {})["reason"] == "OOMKilled"


def test_an_image_that_cannot_be_pulled_is_tried_again(namespace: Namespace, kubelet: Kubelet) -> None:
    kubelet.script(namespace.name, Scenario(image_error="manifest unknown"))
    make_pod(namespace)

    wait_for_reason(namespace, "ImagePullBackOff")
    eventually(lambda: "Failed: Error: ImagePullBackOff" in namespace.events("alice"))
    assert 'Failed: Failed to pull image "lab:1": manifest unknown' in namespace.events("alice")

    kubelet.release(namespace.name, "alice")
    wait_for(namespace, "Running")


def test_a_pod_that_fits_nowhere_waits(namespace: Namespace, kubelet: Kubelet) -> None:
    why = "0/1 nodes are available: 1 Insufficient memory."
    kubelet.script(namespace.name, Scenario(unschedulable=why))
    make_pod(namespace)

    eventually(lambda: f"FailedScheduling: {why}" in namespace.events("alice"))
    assert phase(namespace) == "Pending"
    namespace.delete_pod("alice")
    wait_for(namespace, "")


def test_an_evicted_pod_fails_and_stays(namespace: Namespace, kubelet: Kubelet) -> None:
    make_pod(namespace)
    wait_for(namespace, "Running")

    kubelet.evict(namespace.name, "alice")

    wait_for(namespace, "Failed")
    assert (namespace.pod("alice") or {})["status"]["reason"] == "Evicted"
    namespace.delete_pod("alice")
    wait_for(namespace, "")


def test_a_lost_node_confirms_nothing(namespace: Namespace, kubelet: Kubelet) -> None:
    make_pod(namespace)
    wait_for(namespace, "Running")
    kubelet.lose(namespace.name, "alice")

    namespace.delete_pod("alice")
    make_pod(namespace, "bob")
    wait_for(namespace, "Running", "bob")

    assert (namespace.pod("alice") or {})["status"]["reason"] == "NodeLost"


def test_a_pod_is_held_at_each_step(namespace: Namespace, kubelet: Kubelet) -> None:
    kubelet.script(namespace.name, Scenario(hold="scheduling"))
    kubelet.script(namespace.name, Scenario(hold="pulling"), "bob")
    kubelet.script(namespace.name, Scenario(hold="starting"), "carol")
    for name in ("alice", "bob", "carol"):
        make_pod(namespace, name)

    eventually(lambda: any(event.startswith("Pulled") for event in namespace.events("carol")))
    wait_for_reason(namespace, "ContainerCreating", "bob")
    assert "nodeName" not in (namespace.pod("alice") or {})["spec"]

    for name in ("alice", "bob", "carol"):
        kubelet.release(namespace.name, name)
        wait_for(namespace, "Running", name)


def test_a_container_gets_its_grace_period(namespace: Namespace, kubelet: Kubelet) -> None:
    kubelet.script(namespace.name, Scenario(stop_seconds=600))
    make_pod(namespace)
    wait_for(namespace, "Running")

    namespace.delete_pod("alice", 1)
    assert phase(namespace) == "Running"
    wait_for(namespace, "")


def test_the_node_outlives_its_api_server(kubernetes: ControlPlane, namespace: Namespace, kubelet: Kubelet) -> None:
    make_pod(namespace)
    wait_for(namespace, "Running")

    kubernetes.kill()
    kubernetes.start()

    namespace.delete_pod("alice")
    wait_for(namespace, "")


def test_what_a_pod_owns_goes_with_it(namespace: Namespace, kubelet: Kubelet) -> None:
    uid = make_pod(namespace)["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "alice", "uid": uid}
    namespace.api.create(namespace.path("secrets"), metadata={"name": "alice", "ownerReferences": [owner]})

    namespace.delete_pod("alice")

    eventually(lambda: namespace.find("secrets", "alice") is None, what="the secret is gone")


def test_the_audit_log_tells_users_apart(kubernetes: ControlPlane, namespace: Namespace) -> None:
    mark = kubernetes.audit.mark()
    nobody = kubernetes.api("nobody")
    answer = nobody.http.get(namespace.path("pods"))
    nobody.close()
    assert answer.status_code == 403
    namespace.all("pods")

    asked = kubernetes.audit.requests(mark, user="nobody")
    assert [(request.verb, request.resource, request.namespace) for request in asked] == [
        ("list", "pods", namespace.name)
    ]
    assert "nobody" not in {request.user for request in kubernetes.audit.requests(mark, user="admin")}


def test_a_service_account_gets_a_token_of_its_own(kubernetes: ControlPlane, namespace: Namespace) -> None:
    mark = kubernetes.audit.mark()
    kubernetes.tokens["somebody"] = namespace.token("outpost")
    somebody = kubernetes.api("somebody")
    answer = somebody.http.get(namespace.path("pods"))
    somebody.close()

    assert answer.status_code == 403
    assert f"system:serviceaccount:{namespace.name}:outpost" in answer.text
    assert kubernetes.audit.requests(mark, user=f"system:serviceaccount:{namespace.name}:outpost")
