"""One process that polls pods, for ``python -m bench.kubernetes``: ``create``, ``outpost`` or ``kubespawner``.

It prints one line of JSON; where its cluster is, it knows from KUBECONFIG.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import psutil
from traitlets.config import Config

from core.config import JupyterHubOutpost
from core.model import Body, Identity, Inputs, Service, Status
from core.spawners.build import spawner_of
from core.spawners.remote import constructor_arguments

LINE_BEFORE_IDLING = "idle"


def service(namespace: str, number: int) -> Service:
    """The row of a running service, whose pod is ``jupyter-userN--lab``."""
    user, now = f"user{number}", datetime.now(UTC)
    env = {"JUPYTERHUB_USER": user, "JUPYTERHUB_USER_ID": str(number), "JUPYTERHUB_API_TOKEN": "0123456789abcdef" * 2}
    return Service(
        id=number,
        identity=Identity("hub", "lab", str(number)),
        user_id=str(number),
        flavor=None,
        status=Status.RUNNING,
        version=1,
        start_date=now,
        last_update=now,
        body=Body(env=env),
        inputs=Inputs(),
        state={"pod_name": f"jupyter-{user}--lab", "namespace": namespace, "kubespawner_version": "7"},
    )


def outpost_config(namespace: str) -> JupyterHubOutpost:
    """KubeSpawner as it is, but for its namespace and image."""
    settings = {"namespace": namespace, "image": "lab:1", "k8s_api_request_timeout": 30}
    config = Config({"JupyterHubOutpost": {"spawner_class": "kubespawner.KubeSpawner"}, "KubeSpawner": settings})
    return JupyterHubOutpost(config=config)


def unmodified(row: Service, outpost: JupyterHubOutpost) -> Any:
    """KubeSpawner's own object for a row, as it lives in a hub."""
    from kubespawner import KubeSpawner

    spawner = KubeSpawner(config=outpost.config, **constructor_arguments(row))
    spawner.db = SimpleNamespace(commit=lambda: None)  # it notes the pod's address in its hub's database
    spawner.load_state(row.state)
    return spawner


async def create(namespace: str, number: int) -> dict[str, Any]:
    """Make the pods that KubeSpawner would make."""
    outpost = outpost_config(namespace)
    for each in range(number):
        spawner = unmodified(service(namespace, each), outpost)
        await spawner.api.create_namespaced_pod(namespace, await spawner.get_pod_manifest())
    return {}


async def by_outpost(namespace: str, number: int, at_once: int) -> dict[str, Any]:
    """Poll each once, each with a Spawner of its own; so many at the same time."""
    outpost, free = outpost_config(namespace), asyncio.Semaphore(at_once)

    async def poll(each: int) -> int | None:
        async with free, spawner_of(service(namespace, each), outpost) as spawner:
            return await spawner.poll()

    async with spawner_of(service(namespace, 0), outpost):
        pass  # imports are a process's, not a poll's
    return await _measured(lambda: asyncio.gather(*map(poll, range(number))))


async def by_kubespawner(namespace: str, number: int, idle_seconds: float) -> dict[str, Any]:
    """Poll each twice, by objects that stay; the first poll of all lists, later ones read what was watched."""
    outpost = outpost_config(namespace)
    spawners = [unmodified(service(namespace, each), outpost) for each in range(number)]
    first = await _measured(lambda: asyncio.gather(*[spawner.poll() for spawner in spawners]))
    again = await _measured(lambda: asyncio.gather(*[spawner.poll() for spawner in spawners]))
    print(LINE_BEFORE_IDLING, flush=True)
    await asyncio.sleep(idle_seconds)
    return again | {"first_seconds": first["seconds"], "first_cpu_seconds": first["cpu_seconds"]}


async def _measured(polls: Callable[[], Awaitable[list[int | None]]]) -> dict[str, Any]:
    process = psutil.Process()
    began, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
    answers = await polls()
    assert set(answers) == {None}, f"not every pod runs: {set(answers)}"
    return {
        "polls": len(answers),
        "seconds": round(time.perf_counter() - began, 3),
        "cpu_seconds": round(sum(process.cpu_times()[:2]) - cpu, 3),
        "rss_mb": round(process.memory_info().rss / 1e6),
    }


def main() -> None:
    """Do as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("who", choices=["create", "outpost", "kubespawner"])
    parser.add_argument("namespace")
    parser.add_argument("number", type=int)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--idle", type=float, default=0)
    arguments = parser.parse_args()
    work = {
        "create": lambda: create(arguments.namespace, arguments.number),
        "outpost": lambda: by_outpost(arguments.namespace, arguments.number, arguments.at_once),
        "kubespawner": lambda: by_kubespawner(arguments.namespace, arguments.number, arguments.idle),
    }
    print(json.dumps(asyncio.run(work[arguments.who]())), flush=True)


if __name__ == "__main__":
    main()
