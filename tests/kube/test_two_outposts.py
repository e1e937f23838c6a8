"""Two Outposts on one database and one service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.kube.api import Namespace
from tests.kube.kubelet import Kubelet
from tests.kube.outposts import Outposts, assert_nothing_is_left, the_pod, wait_for_event
from tests.kube.scenarios import Scenario
from tests.support.outpost import OutpostProcess
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

Pair = tuple[OutpostProcess, OutpostProcess]


@pytest.fixture
def pair(outposts: Outposts) -> Pair:
    """Two running Outposts that share their database and key; a start that was cut off is found within seconds."""
    first = outposts.new("c.KubeSpawner.services_enabled = True", {"OUTPOST_LEASE_SECONDS": "3"}).start()
    shared = {name: first.env[name] for name in ("OUTPOST_CRYPT_KEY", "OUTPOST_LEASE_SECONDS", "SQL_DATABASE_URL")}
    return first, outposts.new("c.KubeSpawner.services_enabled = True", shared).start()


def test_what_one_starts_the_other_polls_and_stops(pair: Pair, namespace: Namespace, hub_stub: RecordingHub) -> None:
    with pair[0].hub() as one, pair[1].hub() as other:
        assert one.start("lab", env=hub_stub.env()).status_code == 200
        assert other.poll("lab").json()["status"] is None
        assert other.stop("lab").status_code == 200
        assert one.poll("lab").status_code == 404
        assert_nothing_is_left(namespace, one.services())


def test_a_stop_at_both_at_once_stops_once(
    pair: Pair, namespace: Namespace, kubelet: Kubelet, hub_stub: RecordingHub
) -> None:
    kubelet.script(namespace.name, Scenario(stop_seconds=0.5))
    with pair[0].hub() as one, pair[1].hub() as other, ThreadPoolExecutor() as beside:
        assert one.start("lab", env=hub_stub.env()).status_code == 200
        stops = [beside.submit(hub.stop, "lab") for hub in (one, other)]
        codes = sorted(stop.result().status_code for stop in stops)
        assert codes[0] == 200
        assert codes[1] in (200, 404)
        assert_nothing_is_left(namespace, one.services())


def test_a_start_at_one_is_stopped_at_the_other_and_spares_its_successor(
    pair: Pair, namespace: Namespace, kubelet: Kubelet, hub_stub: RecordingHub
) -> None:
    kubelet.script(namespace.name, Scenario(hold="pulling"))
    with pair[0].hub() as one, pair[1].hub() as other, ThreadPoolExecutor() as beside:
        start = beside.submit(one.start, "lab", env=hub_stub.env())
        wait_for_event(namespace, "Scheduled")

        assert other.stop("lab").status_code == 200
        kubelet.script(namespace.name, Scenario())
        assert other.start("lab", env=hub_stub.env()).status_code == 200

        assert start.result().status_code == 419
        assert the_pod(namespace)["status"]["phase"] == "Running"
        assert one.poll("lab").json()["status"] is None
        assert one.stop("lab").status_code == 200
        assert_nothing_is_left(namespace, one.services())


def test_a_start_whose_outpost_dies_is_cleaned_up_by_the_other(
    pair: Pair, namespace: Namespace, kubelet: Kubelet, hub_stub: RecordingHub
) -> None:
    kubelet.script(namespace.name, Scenario(hold="pulling"))
    with pair[0].hub() as one, pair[1].hub() as other:
        assert one.start("lab", asynchronous=True, env=hub_stub.env()).status_code == 202
        wait_for_event(namespace, "Scheduled")

        pair[0].kill()

        eventually(lambda: other.services() == [], 30, "the service is gone")
        assert_nothing_is_left(namespace, other.services())
        failed = [event for event in hub_stub.told("/events") if event.get("failed")]
        assert len(failed) == 1
