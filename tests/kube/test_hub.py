"""The whole way: a real hub, Outpost with KubeSpawner, and a pod that really runs a notebook server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kube.api import Namespace
from tests.kube.hub_stack import HubStack, hub_stack
from tests.kube.kubelet import Kubelet
from tests.kube.scenarios import Scenario
from tests.support.waiting import eventually


@pytest.fixture
def stack(namespace: Namespace, kubelet: Kubelet, kubeconfig: Path, tmp_path: Path) -> Iterator[HubStack]:
    """A hub and an Outpost whose pods really run what they are told to."""
    kubelet.script(namespace.name, Scenario(run=True))
    with hub_stack(tmp_path, namespace, kubeconfig) as running:
        yield running


def test_a_server_in_a_pod_starts_computes_and_stops(stack: HubStack) -> None:
    server = stack.new_server("lab").start()
    assert server.get("api/status").json()["started"]
    assert server.kernel().run("6*7") == "42"
    said = " ".join(str(event.get("message")) for event in server.events())
    assert "Successfully assigned" in said

    stack.outpost.kill()
    stack.outpost.start()
    server.stop()

    assert stack.pod_of(server) is None
    server.assert_gone()


def test_the_hub_notices_that_a_pod_is_gone(stack: HubStack) -> None:
    server = stack.new_server("lab").start()
    pod = stack.pod_of(server)
    assert pod is not None

    stack.namespace.delete_pod(pod["metadata"]["name"])

    eventually(server.is_stopped, 30, "the hub knows that the server has ended")
    server.assert_gone()


def test_the_user_reads_why_a_pod_failed(stack: HubStack, kubelet: Kubelet) -> None:
    ends = Scenario(exit_code=1, message="cannot mount /home: no such volume")
    kubelet.script(stack.namespace.name, ends)
    server = stack.new_server("lab")
    server.request_start()

    eventually(server.is_stopped, 45, "the start has failed")
    assert ends.message in str(server.events())
    assert stack.pod_of(server) is None
