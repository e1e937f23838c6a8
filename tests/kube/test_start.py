"""A start follows its one pod, whatever becomes of the connection, and never takes another's place."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from core.errors import StartFailed
from core.spawners import kube_watch
from core.spawners.kube_failures import KubeError
from tests.kube.control_plane import ControlPlane
from tests.kube.kubelet import Kubelet
from tests.kube.proxy import Proxy
from tests.kube.scenarios import Scenario
from tests.kube.spawning import Spawning, a_service


def is_watch(line: str) -> bool:
    """A watch of the pod."""
    return "/pods?" in line and "watch=true" in line


def is_list(line: str) -> bool:
    """A list of the pod."""
    return "/pods?" in line and "watch=true" not in line


async def held(spawning: Spawning, kubelet: Kubelet, **more: Any) -> tuple[asyncio.Task[Any], Callable[[], None]]:
    """A start whose pod waits for its image; what lets it go on."""
    kubelet.script(spawning.namespace.name, Scenario(hold="pulling"))
    starting = asyncio.create_task(spawning.start(a_service(**more)))
    await spawning.until_said("Scheduled")
    name = (await spawning.pod())["metadata"]["name"]
    return starting, lambda: kubelet.release(spawning.namespace.name, name)


async def test_a_start_is_up_as_soon_as_its_pod_is(spawning: Spawning, kubernetes: ControlPlane) -> None:
    mark = kubernetes.audit.mark()
    running = await spawning.start(a_service())

    pod = await spawning.pod()
    assert running.start_response == f"http://{pod['status']['podIP']}:8888"
    asked = [(request.verb, request.resource) for request in kubernetes.audit.requests(mark, user="outpost")]
    assert sorted(asked) == [
        ("create", "pods"),
        ("list", "events"),
        ("list", "pods"),
        ("watch", "events"),
        ("watch", "pods"),
    ]


async def test_a_pod_says_whose_it_is(spawning: Spawning) -> None:
    """Labels find it; a ``modify_pod_hook`` cannot take them away."""

    def forget_labels(spawner: Any, pod: Any) -> Any:
        pod.metadata.labels = {"only": "mine"}
        return pod

    spawning.config.KubeSpawner.modify_pod_hook = forget_labels
    service = a_service("lab", "alice")
    running = await spawning.start(service)

    metadata = (await spawning.pod())["metadata"]
    assert metadata["labels"]["only"] == "mine"
    assert metadata["labels"]["hub.jupyter.org/outpost-mark"] == running.state["_outpost"]["mark"]
    assert "hub.jupyter.org/outpost" in metadata["labels"]
    whose = {"hub": "hub1", "user": "alice", "name": "lab", "start_id": service.identity.start_id}
    assert json.loads(metadata["annotations"]["hub.jupyter.org/outpost-service"]) == whose
    assert running.state["_outpost"]["uid"] == metadata["uid"]
    assert spawning.stored["_outpost"]["mark"] == running.state["_outpost"]["mark"]


async def test_the_hub_hears_what_happens_as_it_happens_and_nothing_of_earlier_pods(
    spawning: Spawning, kubelet: Kubelet
) -> None:
    kubelet.script(spawning.namespace.name, Scenario(image_error="no such image"))
    spawning.config.KubeSpawner.start_timeout = 3
    with pytest.raises(StartFailed):
        await spawning.start(a_service())
    spawning.config.KubeSpawner.start_timeout = 30

    starting, go_on = await held(spawning, kubelet)
    await spawning.until(lambda: spawning.events, "an event comes before the pod runs")
    assert not starting.done()
    go_on()
    await starting
    said = [event["message"] for event in spawning.events]
    assert any("Successfully assigned" in message for message in said)
    assert any("Started container notebook" in message for message in said)
    assert not [message for message in said if "no such image" in message]
    assert [event["progress"] for event in spawning.events] == sorted(event["progress"] for event in spawning.events)


async def test_a_start_without_events_asks_for_none(spawning: Spawning, kubernetes: ControlPlane) -> None:
    spawning.config.KubeSpawner.events_enabled = False
    mark = kubernetes.audit.mark()
    await spawning.start(a_service())
    assert spawning.events == []
    assert "events" not in {request.resource for request in kubernetes.audit.requests(mark, user="outpost")}


async def test_watches_that_break_are_begun_anew(spawning: Spawning, kubelet: Kubelet, proxy: Proxy) -> None:
    starting, go_on = await held(spawning, kubelet)

    def has_watched_more_often(than: int) -> bool:
        return proxy.count("GET", is_watch) > than

    for times in (1, 2, 3):
        proxy.cut()
        await spawning.until(partial(has_watched_more_often, times))
    go_on()
    assert (await starting).start_response.endswith(":8888")
    assert proxy.count("GET", is_list) >= 4


async def test_a_watch_that_is_too_old_is_begun_anew(spawning: Spawning, kubelet: Kubelet, proxy: Proxy) -> None:
    """As an answer, and as an event."""
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    starting, go_on = await held(spawning, kubelet)
    as_answer = proxy.fault("GET", "&watch=true", 410, content=status, times=2)
    proxy.cut()
    await spawning.until(lambda: as_answer.happened == 2)
    as_event = proxy.fault("GET", "&watch=true", 200, content={"type": "ERROR", "object": status}, times=2)
    proxy.cut()
    await spawning.until(lambda: as_event.happened == 2)
    go_on()
    assert (await starting).start_response.endswith(":8888")


async def test_a_watch_whose_time_is_over_goes_on_where_it_was(
    spawning: Spawning, kubelet: Kubelet, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_watch, "WATCH_SECONDS", 2)
    starting, go_on = await held(spawning, kubelet)
    await spawning.until(lambda: proxy.count("GET", is_watch) >= 3)
    go_on()
    assert (await starting).start_response.endswith(":8888")
    assert proxy.count("GET", is_list) == 1


async def test_a_connection_that_has_died_silently_is_noticed(
    spawning: Spawning, kubelet: Kubelet, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_watch, "WATCH_SECONDS", 1)
    monkeypatch.setattr(kube_watch, "_SILENCE", 1.0)
    starting, go_on = await held(spawning, kubelet)
    proxy.mute()
    await spawning.until(lambda: proxy.count("GET", is_list) >= 2)
    go_on()
    assert (await starting).start_response.endswith(":8888")


async def test_a_start_takes_the_place_of_an_earlier_server(
    spawning: Spawning, kubelet: Kubelet, kubernetes: ControlPlane
) -> None:
    kubelet.script(spawning.namespace.name, Scenario(stop_seconds=600))
    earlier = await spawning.start(a_service())
    mark = kubernetes.audit.mark()
    running = await spawning.start(a_service())

    assert running.state["pod_name"] == earlier.state["pod_name"]
    assert (await spawning.pod())["metadata"]["uid"] == running.state["_outpost"]["uid"]
    assert await spawning.poll(earlier) == 1
    deleted = [request for request in kubernetes.audit.requests(mark, user="outpost") if request.verb == "delete"]
    assert len(deleted) == 1


@pytest.mark.parametrize(
    ("other", "whose"),
    [
        ({"hub": "hub2", "user": "eve"}, "a server of another hub"),
        ({"user": "Alice"}, "the server 'lab' of Alice"),
        ({"name": "lab2"}, "the server 'lab2' of alice"),
    ],
    ids=["another hub", "another user", "another name"],
)
async def test_a_start_never_takes_the_place_of_another_server(
    spawning: Spawning, caplog: pytest.LogCaptureFixture, other: dict[str, str], whose: str
) -> None:
    """A hub is not told what is another's; the log is."""
    spawning.config.KubeSpawner.pod_name_template = "jupyter"
    running = await spawning.start(a_service(**other))
    with pytest.raises(StartFailed) as failed:
        await spawning.start(a_service())
    assert failed.value.args[0] == (
        f"The pod {spawning.namespace.name}/jupyter is {whose}: set c.KubeSpawner.pod_name_template so that "
        'no two servers have the same name, for example to "jupyter-{hub}--{user_server}"'
    )
    assert f"is in the way: {running.identity}" in caplog.text
    assert (await spawning.pod())["metadata"]["uid"] == running.state["_outpost"]["uid"]
    assert await spawning.poll(running) is None


async def test_a_name_whose_template_the_hub_has_sent_is_changed_at_the_hub(spawning: Spawning) -> None:
    """As OutpostSpawner does by default; and what the advice says helps."""
    misc = {"pod_name_template": "jupyter-{username}--{servername}"}
    await spawning.start(a_service(hub="hub2", misc=misc))
    with pytest.raises(StartFailed, match="is a server of another hub: the hub hub1 sends the template") as failed:
        await spawning.start(a_service(misc=misc))
    setting = re.search(r'c\.OutpostSpawner\.svc_name_template .* "(.+)"', str(failed.value.args[0]))
    assert setting is not None
    running = await spawning.start(a_service(misc={"pod_name_template": setting[1]}))
    assert running.state["pod_name"] == "jupyter-hub1-alice--lab"


async def a_foreign_pod(spawning: Spawning, kubelet: Kubelet, scenario: Scenario, phase: str) -> str:
    """The uid of a pod that no Outpost has made, with alice's name."""
    spawning.config.KubeSpawner.pod_name_template = "jupyter"
    kubelet.script(spawning.namespace.name, scenario)
    spec = {"containers": [{"name": "notebook", "image": "lab:1"}], "restartPolicy": "Never"}
    space = spawning.namespace
    await asyncio.to_thread(space.api.create, space.path("pods"), metadata={"name": "jupyter"}, spec=spec)
    await spawning.until(lambda: space.all("pods")[0]["status"]["phase"] == phase)
    kubelet.script(space.name, Scenario())
    uid: str = (await spawning.pod())["metadata"]["uid"]
    return uid


async def test_a_start_never_takes_the_place_of_a_running_pod_that_no_outpost_has_made(
    spawning: Spawning, kubelet: Kubelet
) -> None:
    """For example of a hub in the same namespace."""
    uid = await a_foreign_pod(spawning, kubelet, Scenario(), "Running")
    with pytest.raises(StartFailed, match="is none of Outpost's, and has not ended: set "):
        await spawning.start(a_service())
    metadata = (await spawning.pod())["metadata"]
    assert (metadata["uid"], metadata.get("deletionTimestamp")) == (uid, None)


async def test_a_pod_that_no_outpost_has_made_and_that_is_over_is_replaced(
    spawning: Spawning, kubelet: Kubelet
) -> None:
    uid = await a_foreign_pod(spawning, kubelet, Scenario(exit_code=0), "Succeeded")
    running = await spawning.start(a_service())
    assert (await spawning.pod())["metadata"]["uid"] == running.state["_outpost"]["uid"] != uid


async def test_a_start_never_takes_the_place_of_one_that_began_after_it(spawning: Spawning) -> None:
    """For example when its process was frozen meanwhile."""
    goes_on, waits = asyncio.Event(), asyncio.Event()

    async def wait(spawner: Any, pod: Any) -> Any:
        waits.set()
        await goes_on.wait()
        return pod

    spawning.config.KubeSpawner.modify_pod_hook = wait
    late = asyncio.create_task(spawning.start(a_service()))
    await waits.wait()
    other = Spawning(spawning.namespace.name, spawning.namespace)
    running = await other.start(a_service())
    goes_on.set()

    with pytest.raises(StartFailed, match="Another start has made the pod"):
        await late
    assert await other.poll(running) is None


async def test_a_pod_whose_creation_was_answered_to_nobody_is_taken(spawning: Spawning, proxy: Proxy) -> None:
    lost = proxy.fault("POST", "/pods", forwards=True)
    running = await spawning.start(a_service())
    assert lost.happened == 1
    assert proxy.count("DELETE") == 0
    assert (await spawning.pod())["metadata"]["uid"] == running.state["_outpost"]["uid"]
    await spawning.stop(running)


QUOTA = {"kind": "Status", "reason": "Forbidden", "message": 'pods "jupyter" is forbidden: exceeded quota: pods'}


async def test_a_pod_whose_creation_was_answered_to_nobody_is_taken_when_no_other_is_allowed(
    spawning: Spawning, proxy: Proxy
) -> None:
    """It is the one that has used up the quota."""
    proxy.fault("POST", "/pods", forwards=True)
    refused = proxy.fault("POST", "/pods", 403, content=QUOTA)
    running = await spawning.start(a_service())
    assert refused.happened == 1
    assert (await spawning.pod())["metadata"]["uid"] == running.state["_outpost"]["uid"]
    await spawning.stop(running)
    assert spawning.namespace.names("pods") == []


async def test_a_pod_that_could_not_be_asked_for_after_a_refusal_is_looked_for_by_the_stop(
    spawning: Spawning, proxy: Proxy
) -> None:
    proxy.fault("POST", "/pods", forwards=True)
    proxy.fault("POST", "/pods", 403, content=QUOTA)
    unknown = proxy.fault("GET", "/pods/", 404, content="a page of some proxy's")
    with pytest.raises(KubeError, match="exceeded quota"):
        await spawning.start(a_service())
    assert unknown.happened == 1
    assert spawning.namespace.names("pods") == []


async def test_what_was_refused_at_once_is_not_looked_for(spawning: Spawning, proxy: Proxy) -> None:
    """So a start without any permission ends."""
    proxy.fault("POST", "/pods", 403, content=QUOTA)
    with pytest.raises(KubeError, match="exceeded quota"):
        await spawning.start(a_service())
    assert proxy.count("GET", lambda line: "/pods/" in line) == 0


async def test_a_start_that_is_cancelled_while_its_pod_is_created_knows_it(spawning: Spawning, proxy: Proxy) -> None:
    """Its stop deletes the pod, although the answer came after the cancellation."""
    cancelled: list[None] = []

    async def answer() -> None:
        starting.cancel()
        cancelled.append(None)
        await asyncio.sleep(0.2)

    proxy.before_answer = ("POST", answer)
    starting = asyncio.create_task(spawning.start(a_service()))
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert cancelled
    assert proxy.count("DELETE", lambda line: "/pods/" in line) == 1
    assert spawning.namespace.names("pods") == []


async def test_a_pod_that_was_deleted_right_after_it_ran_is_no_running_server(
    spawning: Spawning, kubelet: Kubelet
) -> None:
    kubelet.script(spawning.namespace.name, Scenario(ready=False))
    starting = asyncio.create_task(spawning.start(a_service()))
    await spawning.until_said("Started")
    await asyncio.to_thread(spawning.namespace.delete_pod, (await spawning.pod())["metadata"]["name"], 0)
    with pytest.raises(StartFailed, match="deleted while the server was starting"):
        await starting
