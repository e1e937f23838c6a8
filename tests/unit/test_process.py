"""A local process is known by more than its pid."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from core.config import JupyterHubOutpost
from core.model import Body, Identity, Inputs, JsonDict, Service, Status
from core.spawners.build import build
from infra.wiring import utc_now

SLEEP = ["sleep", "600"]


def service(state: JsonDict) -> Service:
    """A row with that state."""
    now = utc_now()
    body = Body(env={"JUPYTERHUB_USER": "u"})
    return Service(1, Identity("hub", "name", "0"), "1", None, Status.RUNNING, 0, now, now, body, Inputs(), state=state)


@pytest.fixture
def outpost() -> JupyterHubOutpost:
    """Spawns ``sleep``."""
    made = JupyterHubOutpost(spawner_class="simple")
    made.config.SimpleLocalProcessSpawner.cmd = SLEEP
    made.config.SimpleLocalProcessSpawner.interrupt_timeout = 1
    return made


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is nobody's server."""
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


async def started(outpost: JupyterHubOutpost) -> JsonDict:
    """The state of a server that another object has started."""
    spawner: Any = build(service({}), outpost)
    await spawner.start()
    state: JsonDict = spawner.save_state()
    await spawner.close()
    return state


async def test_the_next_object_polls_and_stops_the_same_process(outpost: JupyterHubOutpost) -> None:
    state = await started(outpost)
    assert await build(service(state), outpost).poll() is None
    await build(service(state), outpost).stop()
    assert await build(service(state), outpost).poll() is not None
    assert not psutil.pid_exists(state["pid"])


async def test_a_reused_pid_is_neither_polled_as_running_nor_killed(
    outpost: JupyterHubOutpost, bystander: subprocess.Popen[bytes]
) -> None:
    state = await started(outpost)
    os.kill(state["pid"], 9)
    os.waitpid(state["pid"], 0)
    reused = state | {"pid": bystander.pid, "_outpost": state["_outpost"] | {"started": 1.0}}
    assert await build(service(reused), outpost).poll() == 0
    await build(service(reused), outpost).stop()
    assert bystander.poll() is None


async def test_a_zombie_has_ended_whoevers_child_it_is(outpost: JupyterHubOutpost) -> None:
    script = "import subprocess, time; p = subprocess.Popen(['true']); print(p.pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        zombie = psutil.Process(int(parent.stdout.readline()))
        while zombie.status() != psutil.STATUS_ZOMBIE:
            pass
        state = {"pid": zombie.pid, "_outpost": {"started": zombie.create_time()}}
        assert await build(service(state), outpost).poll() == 0
        parent.kill()


async def test_a_process_whose_pid_was_never_stored_is_found_by_its_mark(outpost: JupyterHubOutpost) -> None:
    state = await started(outpost)
    cut_off = {"_outpost": {"mark": state["_outpost"]["mark"]}}
    assert await build(service(cut_off), outpost).poll() is None
    await build(service(cut_off), outpost).stop()
    assert await build(service(state), outpost).poll() is not None


async def test_a_pid_without_a_start_time_is_taken_as_it_is(
    outpost: JupyterHubOutpost, bystander: subprocess.Popen[bytes]
) -> None:
    assert await build(service({"pid": bystander.pid}), outpost).poll() is None


async def test_without_state_nothing_runs(outpost: JupyterHubOutpost) -> None:
    assert await build(service({}), outpost).poll() == 0


async def test_a_pid_that_was_reused_since_the_upgrade_is_neither_polled_as_running_nor_killed(
    outpost: JupyterHubOutpost, bystander: subprocess.Popen[bytes]
) -> None:
    created = psutil.Process(bystander.pid).create_time()
    reused = {"pid": bystander.pid, "_outpost": {"started_before": created - 5}}
    assert await build(service(reused), outpost).poll() == 0
    await build(service(reused), outpost).stop()
    assert bystander.poll() is None
    ours = {"pid": bystander.pid, "_outpost": {"started_before": created + 5}}
    assert await build(service(ours), outpost).poll() is None
