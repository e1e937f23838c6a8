"""A stop takes that very pod away with what belongs to it, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from core.errors import StopFailed
from core.model import Service
from core.spawners.build import build
from tests.kube.control_plane import ControlPlane
from tests.kube.kubelet import Kubelet
from tests.kube.proxy import Proxy
from tests.kube.scenarios import Scenario
from tests.kube.spawning import Spawning, a_service


def earlier(running: Service) -> Service:
    """As an Outpost of old has stored it."""
    return replace(running, state={key: running.state[key] for key in ("pod_name", "namespace")})


@pytest.mark.parametrize("knows", ["uid", "mark", "name"])
async def test_a_stop_is_at_most_four_requests(
    spawning: Spawning, kubernetes: ControlPlane, kubelet: Kubelet, knows: str
) -> None:
    """Whatever the state tells: all of it, only what was stored before the start, or what an earlier Outpost stored."""
    spawning.config.KubeSpawner.delete_grace_period = 5
    kubelet.script(spawning.namespace.name, Scenario(stop_seconds=1))
    running = await spawning.start(a_service())
    service = {"uid": running, "mark": replace(running, state=spawning.stored), "name": earlier(running)}[knows]
    mark = kubernetes.audit.mark()

    await spawning.stop(service)

    assert spawning.namespace.names("pods") == []
    verbs = [request.verb for request in kubernetes.audit.requests(mark, user="outpost")]
    assert verbs == [*([] if knows == "uid" else ["get"]), "delete", "list", "watch"]


async def test_a_pod_gets_its_grace_period(spawning: Spawning, kubernetes: ControlPlane, kubelet: Kubelet) -> None:
    spawning.config.KubeSpawner.delete_grace_period = 7
    kubelet.script(spawning.namespace.name, Scenario(stop_seconds=1))
    running = await spawning.start(a_service())
    stopping = asyncio.create_task(spawning.stop(running))
    await spawning.until_said("Killing")
    assert (await spawning.pod())["metadata"]["deletionGracePeriodSeconds"] == 7
    await stopping


async def test_what_is_gone_already_is_stopped(spawning: Spawning) -> None:
    running = await spawning.start(a_service())
    await spawning.stop(running)
    await spawning.stop(running)
    await spawning.stop(replace(running, state=spawning.stored))
    await spawning.stop(earlier(running))


async def test_a_stop_never_deletes_a_successor(spawning: Spawning) -> None:
    first = await spawning.start(a_service())
    cut_off = replace(first, state=spawning.stored)
    await spawning.stop(first)
    successor = await spawning.start(a_service())
    assert successor.state["pod_name"] == first.state["pod_name"]

    await spawning.stop(first)
    await spawning.stop(cut_off)

    assert (await spawning.pod())["metadata"]["uid"] == successor.state["_outpost"]["uid"]
    assert await spawning.poll(successor) is None


async def test_a_stop_never_deletes_a_successor_that_comes_between_its_look_and_its_deletion(
    spawning: Spawning, proxy: Proxy
) -> None:
    first = await spawning.start(a_service())
    successors: list[Service] = []

    async def replace_pod() -> None:
        proxy.before_answer = None
        other = Spawning(spawning.namespace.name, spawning.namespace)
        await other.stop(first)
        successors.append(await other.start(a_service()))

    proxy.before_answer = ("GET", replace_pod)
    await spawning.stop(earlier(first))
    assert (await spawning.pod())["metadata"]["uid"] == successors[0].state["_outpost"]["uid"]


async def test_a_start_that_was_cut_off_before_it_could_say_what_it_made_is_found(spawning: Spawning) -> None:
    running = await spawning.start(a_service())
    assert "uid" not in spawning.stored["_outpost"]
    await spawning.stop(replace(running, state=spawning.stored))
    assert spawning.namespace.names("pods") == []


async def test_an_ended_pod_is_kept_where_the_configuration_says_so(spawning: Spawning, kubelet: Kubelet) -> None:
    spawning.config.KubeSpawner.delete_stopped_pods = False
    spawning.config.KubeSpawner.extra_pod_config = {"restartPolicy": "Never"}
    running = await spawning.start(a_service())
    kubelet.end(spawning.namespace.name, running.state["pod_name"], 1)
    await spawning.until(lambda: spawning.namespace.all("pods")[0]["status"]["phase"] == "Failed")

    await spawning.stop(running)
    assert await spawning.poll(running) == 1
    following = await spawning.start(a_service())
    assert (await spawning.pod())["metadata"]["uid"] == following.state["_outpost"]["uid"]
    await spawning.stop(following)
    assert spawning.namespace.names("pods") == []


async def test_a_node_that_does_not_answer_is_told_as_such(
    spawning: Spawning, kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.spawners.kube.STOP_SECONDS", 2)
    running = await spawning.start(a_service())
    kubelet.lose(spawning.namespace.name, running.state["pod_name"])
    with pytest.raises(StopFailed, match="its node does not confirm that it has ended"):
        await spawning.stop(running)
    assert await spawning.poll(running) is None


async def test_a_stop_goes_on_when_its_connections_break(spawning: Spawning, kubelet: Kubelet, proxy: Proxy) -> None:
    spawning.config.KubeSpawner.delete_grace_period = 30
    kubelet.script(spawning.namespace.name, Scenario(stop_seconds=3))
    running = await spawning.start(a_service())
    refused = proxy.fault("DELETE", "/pods/", forwards=True)
    stopping = asyncio.create_task(spawning.stop(running))
    await spawning.until(lambda: proxy.count("GET", lambda line: "watch=true" in line and "/pods?" in line) >= 2)
    proxy.cut()
    await stopping
    assert refused.happened == 1
    assert spawning.namespace.names("pods") == []


async def test_an_api_that_stays_away_is_told_after_kubespawners_own_time(spawning: Spawning, proxy: Proxy) -> None:
    running = await spawning.start(a_service())
    spawning.config.KubeSpawner.k8s_api_request_retry_timeout = 1
    proxy.fault("DELETE", "/pods/", 503, content="away", times=99)
    with pytest.raises(Exception, match="The Kubernetes API answered 503: away"):
        await asyncio.wait_for(spawning.stop(running), 10)


async def test_a_start_that_has_made_nothing_asks_nothing_more(spawning: Spawning, proxy: Proxy) -> None:
    spawning.config.KubeSpawner.start_timeout = 2
    proxy.fault("GET", "/pods", 503, times=99)
    with pytest.raises(Exception, match="503"):
        await spawning.start(a_service())
    assert proxy.count("DELETE") == 0


async def test_a_stop_after_a_hook_that_hangs_stops(spawning: Spawning) -> None:
    """``after_pod_created_hook`` runs when the pod is there."""

    async def hang(spawner: Any, pod: Any) -> None:
        await asyncio.sleep(3600)

    spawning.config.KubeSpawner.after_pod_created_hook = hang
    spawning.config.KubeSpawner.start_timeout = 2
    with pytest.raises(Exception, match="did not start within 2 seconds"):
        await spawning.start(a_service())
    assert spawning.namespace.names("pods") == []


async def test_a_spawner_that_was_only_built_has_nothing_to_close(spawning: Spawning) -> None:
    await build(a_service(), spawning.outpost).close()
