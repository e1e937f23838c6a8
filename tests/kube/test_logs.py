"""A server's last lines are its container's, bounded, and of the life that ended."""

from __future__ import annotations

from dataclasses import replace

from core.spawners import kube_logs
from tests.kube.control_plane import ControlPlane
from tests.kube.kubelet import Kubelet
from tests.kube.scenarios import Scenario
from tests.kube.spawning import Spawning, a_service


async def test_the_last_lines_are_told(spawning: Spawning, kubelet: Kubelet, kubernetes: ControlPlane) -> None:
    kubelet.script(spawning.namespace.name, Scenario(output="one\ntwo\n"))
    running = await spawning.start(a_service())
    mark = kubernetes.audit.mark()
    assert await spawning.logs(running) == ["one", "two"]
    asked = [(request.verb, request.subresource) for request in kubernetes.audit.requests(mark, user="outpost")]
    assert asked == [("get", ""), ("get", "log")]


async def test_there_are_not_too_many_lines(spawning: Spawning, kubelet: Kubelet) -> None:
    kubelet.script(spawning.namespace.name, Scenario(output="".join(f"line {n}\n" for n in range(1000))))
    running = await spawning.start(a_service())
    lines = await spawning.logs(running)
    assert lines == [f"line {n}" for n in range(1000 - kube_logs.MOST_LINES, 1000)]


async def test_of_long_lines_the_end_is_kept(spawning: Spawning, kubelet: Kubelet) -> None:
    """The API's own limit of bytes would cut it off."""
    long = "".join(f"{n}{'x' * 8000}\n" for n in range(50))
    kubelet.script(spawning.namespace.name, Scenario(output=f"{long}the end\n"))
    running = await spawning.start(a_service())
    lines = await spawning.logs(running)
    assert lines[-1] == "the end"
    assert sum(len(line) + 1 for line in lines) <= kube_logs.MOST_BYTES


async def test_a_container_that_was_started_again_tells_its_end_before(spawning: Spawning, kubelet: Kubelet) -> None:
    kubelet.script(spawning.namespace.name, Scenario(output="out of memory\n"))
    running = await spawning.start(a_service())
    kubelet.end(spawning.namespace.name, running.state["pod_name"], 137, "OOMKilled")

    def is_back() -> bool:
        (status,) = spawning.namespace.all("pods")[0]["status"]["containerStatuses"]
        return status["restartCount"] == 1 and "running" in status["state"]

    await spawning.until(is_back, "the container runs again")
    assert await spawning.logs(running) == ["out of memory", "out of memory"]


async def test_a_pod_without_a_container_has_no_lines(spawning: Spawning, kubelet: Kubelet) -> None:
    running = await spawning.start(a_service())
    await spawning.stop(running)
    assert await spawning.logs(running) == []

    kubelet.script(spawning.namespace.name, Scenario(hold="scheduling"))
    spawning.namespace.api.create(
        spawning.namespace.path("pods"),
        metadata={"name": "early"},
        spec={"containers": [{"name": "notebook", "image": "lab:1"}]},
    )
    early = replace(running, state={"pod_name": "early", "namespace": spawning.namespace.name})
    assert await spawning.logs(early) == []
