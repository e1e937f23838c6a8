"""A start whose pod will not come up fails soon, and says why in the container's own words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.errors import StartFailed
from tests.kube.kubelet import Kubelet
from tests.kube.scenarios import Scenario
from tests.kube.spawning import Spawning, a_service

LONG = 600
"""Seconds that nobody waits for here."""


@pytest.fixture(autouse=True)
def patient(spawning: Spawning) -> None:
    """No test reaches the end of ``start_timeout``, unless it sets another one."""
    spawning.config.KubeSpawner.start_timeout = LONG


def sentence(failed: pytest.ExceptionInfo[StartFailed]) -> str:
    """What a user reads first."""
    return str(failed.value.args[0]).splitlines()[0]


async def begin(spawning: Spawning, said: str = "Scheduled") -> tuple[asyncio.Task[Any], str]:
    """A start whose pod is at that event; its name."""
    starting = asyncio.create_task(spawning.start(a_service()))
    await spawning.until_said(said)
    return starting, (await spawning.pod())["metadata"]["name"]


async def status(spawning: Spawning, name: str, **changes: Any) -> None:
    """Let the pod's status say something that the stand-in for its node never says."""
    path = spawning.namespace.path("pods", name) + "/status"
    await asyncio.to_thread(spawning.namespace.api.patch, path, status=changes)


def waiting(reason: str, message: str = "", name: str = "notebook", **more: Any) -> dict[str, Any]:
    """A container's status."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {
        "name": name,
        "image": "lab:1",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "lastState": {},
        "state": state,
        **more,
    }


async def test_a_pod_that_is_deleted(spawning: Spawning, kubelet: Kubelet) -> None:
    kubelet.script(spawning.namespace.name, Scenario(hold="pulling"))
    starting, name = await begin(spawning)
    await asyncio.to_thread(spawning.namespace.delete_pod, name, 0)

    with pytest.raises(StartFailed) as failed:
        await starting
    assert sentence(failed) == "The pod was deleted while the server was starting"


async def test_a_pod_that_is_being_deleted_by_a_drain(spawning: Spawning, kubelet: Kubelet) -> None:
    kubelet.script(spawning.namespace.name, Scenario(hold="pulling", stop_seconds=1))
    starting, name = await begin(spawning)
    why = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "node drain"}
    await status(spawning, name, conditions=[why])
    await asyncio.to_thread(spawning.namespace.delete_pod, name, 300)

    with pytest.raises(StartFailed) as failed:
        await starting
    assert sentence(failed) == "The pod was deleted while the server was starting: node drain"


async def test_a_pod_that_is_evicted(spawning: Spawning, kubelet: Kubelet) -> None:
    kubelet.script(spawning.namespace.name, Scenario(hold="pulling"))
    starting, name = await begin(spawning)
    await asyncio.to_thread(kubelet.evict, spawning.namespace.name, name)

    with pytest.raises(StartFailed) as failed:
        await starting
    assert sentence(failed) == "The pod failed: Evicted: The node was low on resource: memory."
    assert spawning.namespace.names("pods") == []


@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
async def test_a_container_that_fails(spawning: Spawning, kubelet: Kubelet, policy: str) -> None:
    """Under ``OnFailure`` it would be started again, and end again."""
    spawning.config.KubeSpawner.extra_pod_config = {"restartPolicy": policy}
    said = "\n".join(f"line {number}" for number in range(100))
    fails = Scenario(hold="starting", ready=False, exit_code=3, message="no disk", output=f"{said}\nfull\n")
    kubelet.script(spawning.namespace.name, fails)
    starting, name = await begin(spawning, "Pulled")
    await asyncio.to_thread(kubelet.release, spawning.namespace.name, name)

    with pytest.raises(StartFailed) as failed:
        await starting
    assert "with exit code 3 (Error): no disk" in sentence(failed)
    logged = str(failed.value.args[0]).splitlines()[1:]
    assert logged == [*(f"line {number}" for number in range(81, 100)), "full"]


async def test_a_container_that_crashes_again_and_again(spawning: Spawning, kubelet: Kubelet) -> None:
    kubelet.script(spawning.namespace.name, Scenario(hold="starting"))
    starting, name = await begin(spawning, "Pulled")
    last = {"terminated": {"exitCode": 139, "reason": "Error"}}
    crashing = waiting("CrashLoopBackOff", "back-off 10s", restartCount=3, lastState=last)
    await status(spawning, name, phase="Running", containerStatuses=[crashing])

    with pytest.raises(StartFailed) as failed:
        await starting
    assert sentence(failed) == "The server's container ended with exit code 139 (Error)"


async def test_another_container_that_crashes_again_and_again(spawning: Spawning, kubelet: Kubelet) -> None:
    kubelet.script(spawning.namespace.name, Scenario(hold="starting"))
    starting, name = await begin(spawning, "Pulled")
    last = {"terminated": {"exitCode": 1, "reason": "Error", "message": "no such bucket"}}
    crashing = waiting("CrashLoopBackOff", "back-off 10s", "fetch-data", restartCount=3, lastState=last)
    await status(spawning, name, initContainerStatuses=[crashing])

    with pytest.raises(StartFailed) as failed:
        await starting
    assert sentence(failed) == (
        'The container "fetch-data" ends again and again, last with exit code 1 (Error): no such bucket'
    )


async def test_a_server_that_ends_without_an_error(spawning: Spawning, kubelet: Kubelet) -> None:
    kubelet.script(spawning.namespace.name, Scenario(hold="starting"))
    starting, name = await begin(spawning, "Pulled")
    await status(spawning, name, phase="Succeeded")

    with pytest.raises(StartFailed) as failed:
        await starting
    assert sentence(failed) == "The pod's containers ended without an error before the server could be used"


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
async def test_an_image_that_can_never_be_used(spawning: Spawning, kubelet: Kubelet, reason: str) -> None:
    kubelet.script(spawning.namespace.name, Scenario(hold="pulling"))
    starting, name = await begin(spawning)
    await status(spawning, name, containerStatuses=[waiting(reason, "couldn't parse image reference")])

    with pytest.raises(StartFailed) as failed:
        await starting
    assert sentence(failed) == f"The image lab:1 cannot be used: {reason}: couldn't parse image reference"


async def test_an_image_that_is_still_missing_after_a_while(
    spawning: Spawning, kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.spawners.kube.StatelessKubeSpawner.image_patience", 1)
    kubelet.script(spawning.namespace.name, Scenario(image_error="manifest for lab:1 not found"))
    with pytest.raises(StartFailed) as failed:
        await spawning.start(a_service())
    assert sentence(failed) == (
        'The image cannot be pulled: Failed to pull image "lab:1": manifest for lab:1 not found'
    )


async def test_an_image_that_is_there_at_the_second_try(spawning: Spawning, kubelet: Kubelet) -> None:
    kubelet.script(spawning.namespace.name, Scenario(image_error="registry does not answer"))
    starting, name = await begin(spawning, "BackOff")
    await asyncio.to_thread(kubelet.release, spawning.namespace.name, name)
    assert (await starting).start_response.endswith(":8888")


async def test_a_pod_that_fits_nowhere_waits_and_the_hub_hears_why(spawning: Spawning, kubelet: Kubelet) -> None:
    why = "0/1 nodes are available: 1 Insufficient memory."
    spawning.config.KubeSpawner.start_timeout = 5
    kubelet.script(spawning.namespace.name, Scenario(unschedulable=why))
    with pytest.raises(StartFailed) as failed:
        await spawning.start(a_service())

    assert sentence(failed) == f"The server did not start within 5 seconds: Unschedulable: {why}"
    assert any(why in event["message"] for event in spawning.events)
    assert spawning.namespace.names("pods") == []


async def test_a_pod_that_fits_somewhere_in_the_end_starts(spawning: Spawning, kubelet: Kubelet) -> None:
    kubelet.script(spawning.namespace.name, Scenario(unschedulable="0/0 nodes are available."))
    starting, name = await begin(spawning, "FailedScheduling")
    await asyncio.to_thread(kubelet.release, spawning.namespace.name, name)
    assert (await starting).start_response.endswith(":8888")
