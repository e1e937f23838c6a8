"""A poll is one look at the pod, and says only what that look shows."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from core.spawners.kube_failures import KubeError
from tests.kube.control_plane import ControlPlane
from tests.kube.kubelet import Kubelet
from tests.kube.scenarios import Scenario
from tests.kube.spawning import Spawning, a_service


async def test_a_poll_is_one_request(
    spawning: Spawning, kubernetes: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    running = await spawning.start(a_service())
    mark = kubernetes.audit.mark()

    with caplog.at_level(logging.WARNING):
        assert await spawning.poll(running) is None

    assert [(asked.verb, asked.resource) for asked in kubernetes.audit.requests(mark, user="outpost")] == [
        ("get", "pods")
    ]
    assert caplog.messages == []


async def test_a_poll_tells_the_exit_code_and_leaves_the_pod_for_its_logs(
    spawning: Spawning, kubernetes: ControlPlane, kubelet: Kubelet
) -> None:
    kubelet.script(spawning.namespace.name, Scenario(output="no memory left\n"))
    spawning.config.KubeSpawner.extra_pod_config = {"restartPolicy": "Never"}
    running = await spawning.start(a_service())
    name = running.state["pod_name"]
    kubelet.end(spawning.namespace.name, name, 137, "OOMKilled")
    await spawning.until(lambda: (spawning.namespace.pod(name) or {})["status"]["phase"] == "Failed")

    mark = kubernetes.audit.mark()
    assert await spawning.poll(running) == 137
    assert len(kubernetes.audit.requests(mark, user="outpost")) == 1
    assert await spawning.logs(running) == [
        "no memory left",
        "The server's container ended with exit code 137 (OOMKilled)",
    ]


async def test_a_pod_that_is_gone_has_ended(spawning: Spawning) -> None:
    running = await spawning.start(a_service())
    spawning.namespace.delete_pod(running.state["pod_name"], 0)
    assert await spawning.poll(running) == 1


async def test_an_evicted_pod_has_ended_and_says_why(spawning: Spawning, kubelet: Kubelet) -> None:
    running = await spawning.start(a_service())
    kubelet.evict(spawning.namespace.name, running.state["pod_name"])

    assert await spawning.poll(running) == 1
    assert (await spawning.logs(running))[-1] == "The pod failed: Evicted: The node was low on resource: memory."


async def test_a_pod_that_is_being_deleted_still_runs(spawning: Spawning, kubelet: Kubelet) -> None:
    kubelet.script(spawning.namespace.name, Scenario(stop_seconds=600))
    running = await spawning.start(a_service())
    spawning.namespace.delete_pod(running.state["pod_name"], 300)
    assert await spawning.poll(running) is None


async def test_another_pod_of_the_same_name_is_not_the_server(spawning: Spawning) -> None:
    running = await spawning.start(a_service())
    await spawning.stop(running)
    successor = await spawning.start(a_service())
    assert successor.state["pod_name"] == running.state["pod_name"]

    assert await spawning.poll(running) == 1
    assert await spawning.poll(successor) is None


async def test_a_state_of_an_earlier_outpost_is_enough(spawning: Spawning) -> None:
    running = await spawning.start(a_service())
    earlier = replace(running, state={"pod_name": running.state["pod_name"], "namespace": spawning.namespace.name})

    assert await spawning.poll(earlier) is None
    spawning.namespace.delete_pod(running.state["pod_name"], 0)
    assert await spawning.poll(earlier) == 1


async def test_during_a_start_a_pod_that_is_not_there_has_not_ended(spawning: Spawning, kubelet: Kubelet) -> None:
    kubelet.script(spawning.namespace.name, Scenario(hold="pulling"))
    service = a_service()
    starting = asyncio.create_task(spawning.start(service))
    await spawning.until_said("Scheduled")
    assert await spawning.poll_starting(service) is None

    mark = dict(spawning.stored["_outpost"])
    other = replace(service, state=spawning.stored | {"_outpost": mark | {"mark": "another"}})
    assert await spawning.poll_starting(other) is None
    kubelet.release(spawning.namespace.name, (await spawning.pod())["metadata"]["name"])
    running = await starting
    assert await spawning.poll_starting(running) is None
    await spawning.stop(running)
    assert await spawning.poll_starting(running) is None


async def test_during_a_start_a_container_that_has_ended_is_its_exit_code_with_logs(
    spawning: Spawning, kubelet: Kubelet
) -> None:
    spawning.config.KubeSpawner.extra_pod_config = {"restartPolicy": "Never"}  # else it runs again a moment later
    kubelet.script(spawning.namespace.name, Scenario(output="bad option\n"))
    running = await spawning.start(a_service())
    starting = replace(running, state=spawning.stored)
    kubelet.end(spawning.namespace.name, running.state["pod_name"], 2)

    async with asyncio.timeout(20):
        while (code := await spawning.poll_starting(starting)) is None:
            await asyncio.sleep(0.05)
    assert code == 2
    assert "bad option" in await spawning.logs(starting)


async def test_what_is_not_the_apis_own_word_is_no_evidence(
    spawning: Spawning, monkeypatch: pytest.MonkeyPatch, kubernetes: ControlPlane
) -> None:
    """Something else may answer at that address: here a path of the API server that nothing is at."""
    running = await spawning.start(a_service())
    spawning.config.KubeSpawner.k8s_api_host = f"{kubernetes.url}/elsewhere"
    with pytest.raises(KubeError, match="answered 404"):
        await spawning.poll(running)
