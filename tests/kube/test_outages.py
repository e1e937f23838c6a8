"""The API server is away for a moment, or for longer."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.kube.api import Namespace
from tests.kube.control_plane import ControlPlane
from tests.kube.kubelet import Kubelet
from tests.kube.outposts import Outposts, assert_nothing_is_left, the_pod, wait_for_event
from tests.kube.scenarios import Scenario
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

PATIENT_STOP = "c.KubeSpawner.delete_grace_period = 20"


@pytest.fixture
def api_server(kubernetes: ControlPlane, namespace: Namespace) -> Iterator[ControlPlane]:
    """It is there again after the test, before the namespace is removed."""
    yield kubernetes
    kubernetes.kill()
    kubernetes.start()


def test_a_start_outlives_a_restart_of_the_api_server(
    api_server: ControlPlane, namespace: Namespace, kubelet: Kubelet, outposts: Outposts, hub_stub: RecordingHub
) -> None:
    kubelet.script(namespace.name, Scenario(hold="pulling"))
    with outposts.new().start().hub() as hub, ThreadPoolExecutor() as beside:
        start = beside.submit(hub.start, "lab", env=hub_stub.env())
        wait_for_event(namespace, "Scheduled")
        uid = the_pod(namespace)["metadata"]["uid"]

        api_server.kill()
        with pytest.raises(TimeoutError):
            start.result(1)
        api_server.start()
        kubelet.release(namespace.name, the_pod(namespace)["metadata"]["name"])

        assert start.result().status_code == 200, start.result().text
        assert the_pod(namespace)["metadata"]["uid"] == uid
        assert hub.stop("lab").status_code == 200
        assert_nothing_is_left(namespace, hub.services())


def test_a_stop_outlives_a_restart_of_the_api_server(
    api_server: ControlPlane, namespace: Namespace, kubelet: Kubelet, outposts: Outposts, hub_stub: RecordingHub
) -> None:
    kubelet.script(namespace.name, Scenario(stop_seconds=3))
    with outposts.new(PATIENT_STOP).start().hub() as hub, ThreadPoolExecutor() as beside:
        assert hub.start("lab", env=hub_stub.env()).status_code == 200
        stop = beside.submit(hub.stop, "lab")
        wait_for_event(namespace, "Killing")

        api_server.kill()
        api_server.start()

        assert stop.result().status_code == 200, stop.result().text
        assert_nothing_is_left(namespace, hub.services())


def test_a_poll_without_api_server_knows_nothing(
    api_server: ControlPlane, outposts: Outposts, hub_stub: RecordingHub
) -> None:
    with outposts.new().start().hub() as hub:
        assert hub.start("lab", env=hub_stub.env()).status_code == 200
        api_server.kill()
        polled = hub.poll("lab")
        assert (polled.status_code, polled.json()["status"]) == (200, None)
        api_server.start()
        assert hub.poll("lab").json()["status"] is None
        assert hub.stop("lab").status_code == 200


def test_a_stop_without_api_server_is_carried_out_when_it_is_back(
    api_server: ControlPlane, namespace: Namespace, outposts: Outposts, hub_stub: RecordingHub
) -> None:
    quick = "c.KubeSpawner.k8s_api_request_retry_timeout = 2\nc.KubeSpawner.start_timeout = 20"
    with outposts.new(quick, {"OUTPOST_LEASE_SECONDS": "3"}).start().hub() as hub:
        assert hub.start("lab", env=hub_stub.env()).status_code == 200
        api_server.kill()
        assert hub.stop("lab", asynchronous=True).status_code == 202
        assert [service["stop_pending"] for service in hub.services()] == [True]

        api_server.start()

        eventually(lambda: hub.services() == [], 60, "the service is gone")
        assert_nothing_is_left(namespace, hub.services())


def test_a_start_without_api_server_fails_and_says_so(
    api_server: ControlPlane, namespace: Namespace, outposts: Outposts, hub_stub: RecordingHub
) -> None:
    with outposts.new("c.KubeSpawner.start_timeout = 3").start().hub() as hub:
        api_server.kill()
        assert hub.start("lab", asynchronous=True, env=hub_stub.env()).status_code == 202
        failed = eventually(
            lambda: [event for event in hub_stub.told("/events") if event.get("failed")], 30, "it fails"
        )

        api_server.start()

        eventually(lambda: hub.services() == [], 60, "the service is gone")
        assert f"The Kubernetes API at {api_server.url} cannot be reached" in failed[0]["html_message"]
        assert_nothing_is_left(namespace, hub.services())


def _failures(hub_stub: RecordingHub) -> list[dict[str, str]]:
    return [event for event in hub_stub.told("/events") if event.get("failed")]
