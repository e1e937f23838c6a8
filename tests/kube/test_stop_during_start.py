"""A start that is stopped before its pod runs, wherever it is."""

from __future__ import annotations

import pytest

from tests.kube.api import Namespace
from tests.kube.kubelet import Kubelet
from tests.kube.outposts import Outposts, assert_nothing_is_left, the_pod, wait_for_event
from tests.kube.scenarios import Scenario, Step
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

SAID_BEFORE: dict[Step, str] = {"pulling": "Scheduled", "starting": "Pulled"}

SLOW_HOOK = """
import asyncio
from pathlib import Path

async def wait_for_a_file(spawner, pod):
    Path({folder!r}, "waits").touch()
    while not Path({folder!r}, "go").exists():
        await asyncio.sleep(0.05)
    return pod

c.KubeSpawner.modify_pod_hook = wait_for_a_file
c.KubeSpawner.services_enabled = True
"""


@pytest.mark.parametrize("step", ["scheduling", "pulling", "starting"])
def test_a_stop_before_the_pod_runs_leaves_nothing(
    step: Step, namespace: Namespace, kubelet: Kubelet, outposts: Outposts, hub_stub: RecordingHub
) -> None:
    kubelet.script(namespace.name, Scenario(hold=step))
    outpost = outposts.new("c.KubeSpawner.services_enabled = True").start()
    with outpost.hub() as hub:
        assert hub.start("lab", asynchronous=True, env=hub_stub.env()).status_code == 202
        first = the_pod(namespace)["metadata"]["uid"]
        if step in SAID_BEFORE:
            wait_for_event(namespace, SAID_BEFORE[step])
        assert hub.poll("lab").json()["status"] is None

        assert hub.stop("lab").status_code == 200
        assert_nothing_is_left(namespace, hub.services())

        kubelet.script(namespace.name, Scenario())
        assert hub.start("lab", env=hub_stub.env()).status_code == 200
        assert the_pod(namespace)["metadata"]["uid"] != first
        assert hub.stop("lab").status_code == 200
        assert_nothing_is_left(namespace, hub.services())


def test_a_stop_before_the_pod_is_created_leaves_nothing(
    namespace: Namespace, outposts: Outposts, hub_stub: RecordingHub
) -> None:
    outpost = outposts.new()
    outpost.config.write_text(outpost.config.read_text() + SLOW_HOOK.format(folder=str(outpost.folder)))
    with outpost.start().hub() as hub:
        assert hub.start("lab", asynchronous=True, env=hub_stub.env()).status_code == 202
        eventually((outpost.folder / "waits").exists, what="the start is before its pod")

        assert hub.stop("lab").status_code == 200
        (outpost.folder / "go").touch()
        assert_nothing_is_left(namespace, hub.services())

        assert hub.start("lab", env=hub_stub.env()).status_code == 200
        assert len(namespace.names("pods")) == 1
        assert hub.stop("lab").status_code == 200
