"""Pods of an Outpost whose processes come and go, or sleep."""

from __future__ import annotations

import os
import signal
import time

from tests.kube.api import Namespace
from tests.kube.control_plane import ControlPlane
from tests.kube.kubelet import Kubelet
from tests.kube.outposts import Outposts, assert_nothing_is_left, pod_name, the_pod
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

FROZEN_SECONDS = 60
"""Longer than any watch, connection or cache that somebody could have kept is trusted by default."""


def test_every_operation_may_have_a_process_of_its_own(
    kubernetes: ControlPlane, namespace: Namespace, outposts: Outposts, hub_stub: RecordingHub
) -> None:
    outpost = outposts.new().start()
    with outpost.hub() as hub:
        started = hub.start("lab", env=hub_stub.env())
        assert started.status_code == 200, started.text
        assert started.json()["service"] == f"http://{the_pod(namespace)['status']['podIP']}:8888"
        outpost.kill()

        outpost.start()
        mark = kubernetes.audit.mark()
        assert hub.poll("lab").json()["status"] is None
        polled = kubernetes.audit.requests(mark, user="outpost")
        assert [(request.verb, request.resource, request.name) for request in polled] == [
            ("get", "pods", pod_name(namespace))
        ]
        outpost.kill()

        outpost.start()
        mark = kubernetes.audit.mark()
        assert hub.stop("lab").status_code == 200
        stopped = kubernetes.audit.requests(mark, user="outpost")
        assert len(stopped) <= 4, [str(request) for request in stopped]
        assert_nothing_is_left(namespace, hub.services())


def test_what_happened_to_pods_while_outpost_slept_is_known_at_the_next_poll(
    namespace: Namespace, kubelet: Kubelet, outposts: Outposts, hub_stub: RecordingHub
) -> None:
    outpost = outposts.new('c.KubeSpawner.extra_pod_config = {"restartPolicy": "Never"}').start()
    fates = ("deleted", "evicted", "failed", "lucky")
    with outpost.hub() as hub:
        pods: dict[str, str] = {}
        for fate in fates:
            assert hub.start(fate, env=hub_stub.env()).status_code == 200
            (pods[fate],) = set(namespace.names("pods")) - set(pods.values())
            assert hub.poll(fate).json()["status"] is None

        os.kill(outpost.pid, signal.SIGSTOP)
        began = time.monotonic()
        namespace.delete_pod(pods["deleted"], 0)
        kubelet.evict(namespace.name, pods["evicted"])
        kubelet.end(namespace.name, pods["failed"], 137, "OOMKilled")
        time.sleep(FROZEN_SECONDS - (time.monotonic() - began))
        os.kill(outpost.pid, signal.SIGCONT)

        told = {fate: hub.poll(fate).json()["status"] for fate in fates}
        assert told["lucky"] is None
        assert told["failed"] == 137
        assert None not in (told["deleted"], told["evicted"])
        for fate in fates:
            assert hub.stop(fate).status_code == 200
        assert_nothing_is_left(namespace, hub.services())


def test_a_running_pod_costs_nothing_between_polls(
    kubernetes: ControlPlane, namespace: Namespace, outposts: Outposts, hub_stub: RecordingHub
) -> None:
    """The schedules run meanwhile: they end another service."""
    flavors = 'c.JupyterHubOutpost.flavors = {"brief": {"max": 1, "runtime": {"seconds": 3}}, "long": {"max": 1}}'
    outpost = outposts.new(flavors, {"JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER": "1", "OUTPOST_LEASE_SECONDS": "3"})
    with outpost.start().hub() as hub:
        assert hub.start("lab", flavor="long", env=hub_stub.env()).status_code == 200
        lab = pod_name(namespace)
        mark = kubernetes.audit.mark()

        assert hub.start("short", flavor="brief", env=hub_stub.env()).status_code == 200
        eventually(lambda: [service["name"] for service in hub.services()] == ["lab"], 60, "the brief one has ended")

        asked = [request for request in kubernetes.audit.requests(mark, user="outpost") if lab in request.uri]
        assert asked == []
        assert namespace.names("pods") == [lab]
